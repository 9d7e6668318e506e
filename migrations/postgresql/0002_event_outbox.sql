-- The events for other processes on PostgreSQL.
--
-- A transaction that publishes takes its numbers from event_counter as its last act, which
-- holds that row until the commit: so the numbers have no gaps, and are in the order of the
-- commits. The row is made when publishing is first turned on. data is a JSON document, as
-- text on every backend: nobody searches it, and it may be deeper than MariaDB's JSON allows.
--
-- event_counter.id is 1, so it needs no BIGINT:
-- squawk-ignore-file prefer-bigint-over-int

CREATE TABLE event_counter (
    id        INTEGER NOT NULL,
    last_id   BIGINT  NOT NULL,
    publishes BOOLEAN NOT NULL DEFAULT FALSE,
    CONSTRAINT pk_event_counter PRIMARY KEY (id),
    CONSTRAINT ck_event_counter_id CHECK (id = 1)
);

CREATE TABLE event_outbox (
    id          BIGINT                  NOT NULL,
    origin      VARCHAR(36) COLLATE "C" NOT NULL,
    event_type  VARCHAR(32) COLLATE "C" NOT NULL,
    entity_type VARCHAR(32) COLLATE "C" NOT NULL,
    entity_id   VARCHAR(128) COLLATE "C",
    action      VARCHAR(32) COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ             NOT NULL,
    data        TEXT COLLATE "C"        NOT NULL,
    CONSTRAINT pk_event_outbox PRIMARY KEY (id)
);
