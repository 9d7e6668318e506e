-- The events for other processes on MySQL and MariaDB.
--
-- A transaction that publishes takes its numbers from event_counter as its last act, which
-- holds that row until the commit: so the numbers have no gaps, and are in the order of the
-- commits. The row is made when publishing is first turned on. data is a JSON document, as
-- text on every backend: nobody searches it, and it may be deeper than MariaDB's JSON allows.

CREATE TABLE event_counter (
    id        INTEGER NOT NULL,
    last_id   BIGINT  NOT NULL,
    publishes BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (id),
    CONSTRAINT ck_event_counter_id CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE event_outbox (
    id          BIGINT      NOT NULL,
    origin      VARCHAR(36) NOT NULL,
    event_type  VARCHAR(32) NOT NULL,
    entity_type VARCHAR(32) NOT NULL,
    entity_id   VARCHAR(128),
    action      VARCHAR(32) NOT NULL,
    occurred_at DATETIME(6) NOT NULL,
    data        MEDIUMTEXT  NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;
