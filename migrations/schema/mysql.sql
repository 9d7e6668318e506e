-- The schema on MySQL and MariaDB as the migrations up to 0006_time_order make it.
--
-- Generated, to be read and compared, not edited:
--   cardlink-db schema dump --dialect mysql > migrations/schema/mysql.sql
-- A database is made by cardlink-db migrate, which also records what it applied.

CREATE TABLE card_profiles (
    iccid             VARCHAR(22)  NOT NULL,
    imsi              VARCHAR(20),
    card_type         VARCHAR(20)  NOT NULL DEFAULT 'UICC',
    atr               VARCHAR(128),
    psk_identity      VARCHAR(128),
    psk_key_encrypted BLOB,
    admin_url         VARCHAR(255),
    trigger_config    JSON,
    bip_config        JSON,
    security_domains  JSON,
    notes             MEDIUMTEXT,
    created_at        DATETIME(6)  NOT NULL,
    updated_at        DATETIME(6)  NOT NULL,
    PRIMARY KEY (iccid),
    CONSTRAINT uq_card_profiles_psk_identity UNIQUE (psk_identity),
    CONSTRAINT ck_card_profiles_card_type CHECK (card_type IN ('UICC', 'USIM', 'eUICC', 'ISIM')),
    INDEX ix_card_profiles_card_type (card_type)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE devices (
    id                  VARCHAR(255) NOT NULL,
    name                VARCHAR(128),
    device_type         VARCHAR(20)  NOT NULL,
    manufacturer        VARCHAR(64),
    model               VARCHAR(64),
    firmware_version    VARCHAR(64),
    imei                VARCHAR(20),
    imsi                VARCHAR(20),
    iccid               VARCHAR(22),
    connection_settings JSON,
    last_seen           DATETIME(6),
    is_active           BOOLEAN      NOT NULL DEFAULT TRUE,
    notes               MEDIUMTEXT,
    created_at          DATETIME(6)  NOT NULL,
    updated_at          DATETIME(6)  NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ck_devices_device_type CHECK (device_type IN ('phone', 'modem')),
    INDEX ix_devices_device_type (device_type),
    INDEX ix_devices_iccid (iccid),
    INDEX ix_devices_last_seen (last_seen)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE event_counter (
    id        INTEGER NOT NULL,
    last_id   BIGINT  NOT NULL,
    publishes BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (id),
    CONSTRAINT ck_event_counter_id CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE event_outbox (
    id          BIGINT       NOT NULL,
    origin      VARCHAR(36)  NOT NULL,
    event_type  VARCHAR(32)  NOT NULL,
    entity_type VARCHAR(32)  NOT NULL,
    entity_id   VARCHAR(255),
    action      VARCHAR(32)  NOT NULL,
    occurred_at DATETIME(6)  NOT NULL,
    data        MEDIUMTEXT   NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE ota_sessions (
    id               VARCHAR(36)  NOT NULL,
    device_id        VARCHAR(255),
    card_iccid       VARCHAR(22),
    session_type     VARCHAR(20),
    status           VARCHAR(20)  NOT NULL DEFAULT 'pending',
    started_at       DATETIME(6),
    ended_at         DATETIME(6),
    duration_ms      BIGINT,
    tls_cipher_suite VARCHAR(64),
    tls_psk_identity VARCHAR(128),
    error_code       VARCHAR(32),
    error_message    MEDIUMTEXT,
    created_at       DATETIME(6)  NOT NULL,
    updated_at       DATETIME(6)  NOT NULL,
    metadata         JSON,
    PRIMARY KEY (id),
    CONSTRAINT fk_ota_sessions_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT fk_ota_sessions_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT ck_ota_sessions_duration_ms CHECK (duration_ms >= 0),
    CONSTRAINT ck_ota_sessions_session_type CHECK (session_type IN ('triggered', 'polled')),
    CONSTRAINT ck_ota_sessions_status
        CHECK (status IN ('pending', 'active', 'completed', 'failed', 'timeout')),
    INDEX ix_ota_sessions_card_iccid_created_at_id (card_iccid, created_at, id),
    INDEX ix_ota_sessions_created_at_id_status_duration_ms (created_at, id, status, duration_ms),
    INDEX ix_ota_sessions_device_id_created_at_id (device_id, created_at, id),
    INDEX ix_ota_sessions_status_created_at_id (status, created_at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE comm_logs (
    id             BIGINT       NOT NULL AUTO_INCREMENT,
    session_id     VARCHAR(36)  NOT NULL,
    timestamp      DATETIME(6)  NOT NULL,
    latency_ms     DOUBLE,
    direction      VARCHAR(20)  NOT NULL,
    raw_data       MEDIUMTEXT   NOT NULL,
    decoded_data   MEDIUMTEXT,
    status_word    VARCHAR(4),
    status_message VARCHAR(128),
    PRIMARY KEY (id),
    CONSTRAINT fk_comm_logs_session_id
        FOREIGN KEY (session_id) REFERENCES ota_sessions (id) ON DELETE CASCADE,
    CONSTRAINT ck_comm_logs_direction CHECK (direction IN ('command', 'response')),
    INDEX ix_comm_logs_session_id_id (session_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE settings (
    `key`       VARCHAR(128) NOT NULL,
    value       JSON,
    description VARCHAR(256),
    category    VARCHAR(64)  NOT NULL DEFAULT 'general',
    created_at  DATETIME(6)  NOT NULL,
    updated_at  DATETIME(6)  NOT NULL,
    PRIMARY KEY (`key`),
    INDEX ix_settings_category (category)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE test_results (
    id            VARCHAR(36)  NOT NULL,
    run_id        VARCHAR(255) NOT NULL,
    suite_name    VARCHAR(128) NOT NULL,
    test_name     VARCHAR(256) NOT NULL,
    device_id     VARCHAR(255),
    card_iccid    VARCHAR(22),
    started_at    DATETIME(6),
    ended_at      DATETIME(6),
    duration_ms   BIGINT,
    status        VARCHAR(20)  NOT NULL,
    error_message MEDIUMTEXT,
    assertions    JSON,
    metadata      JSON,
    created_at    DATETIME(6)  NOT NULL,
    updated_at    DATETIME(6)  NOT NULL,
    tries         INTEGER      NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    CONSTRAINT fk_test_results_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT fk_test_results_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT ck_test_results_duration_ms CHECK (duration_ms >= 0),
    CONSTRAINT ck_test_results_status CHECK (status IN ('passed', 'failed', 'skipped', 'error')),
    INDEX ix_test_results_card_iccid_started_at_created_at (card_iccid, started_at, created_at),
    INDEX ix_test_results_created_at_id (created_at, id),
    INDEX ix_test_results_device_id_started_at_created_at (device_id, started_at, created_at),
    INDEX ix_test_results_run_id_started_at (run_id, started_at),
    INDEX ix_test_results_started_at_created_at_id (started_at, created_at, id),
    INDEX ix_test_results_status_started_at_created_at (status, started_at, created_at),
    INDEX ix_test_results_suite_name_started_at_created_at (suite_name, started_at, created_at),
    INDEX ix_test_results_suite_name_test_name_started_at (suite_name, test_name, started_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
    /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;
