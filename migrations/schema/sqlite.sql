-- The schema on SQLite as the migrations up to 0006_time_order make it.
--
-- Generated, to be read and compared, not edited:
--   cardlink-db schema dump --dialect sqlite > migrations/schema/sqlite.sql
-- A database is made by cardlink-db migrate, which also records what it applied.

CREATE TABLE card_profiles (
    iccid             VARCHAR(22)  NOT NULL,
    imsi              VARCHAR(20),
    card_type         VARCHAR(20)  NOT NULL DEFAULT 'UICC',
    atr               VARCHAR(128),
    psk_identity      VARCHAR(128),
    psk_key_encrypted BLOB,
    admin_url         VARCHAR(255),
    trigger_config    TEXT,
    bip_config        TEXT,
    security_domains  TEXT,
    notes             TEXT,
    created_at        VARCHAR(32)  NOT NULL,
    updated_at        VARCHAR(32)  NOT NULL,
    CONSTRAINT pk_card_profiles PRIMARY KEY (iccid),
    CONSTRAINT uq_card_profiles_psk_identity UNIQUE (psk_identity),
    CONSTRAINT ck_card_profiles_card_type CHECK (card_type IN ('UICC', 'USIM', 'eUICC', 'ISIM'))
);

CREATE INDEX ix_card_profiles_card_type ON card_profiles (card_type);

CREATE TABLE devices (
    id                  VARCHAR(64)  NOT NULL,
    name                VARCHAR(128),
    device_type         VARCHAR(20)  NOT NULL,
    manufacturer        VARCHAR(64),
    model               VARCHAR(64),
    firmware_version    VARCHAR(64),
    imei                VARCHAR(20),
    imsi                VARCHAR(20),
    iccid               VARCHAR(22),
    connection_settings TEXT,
    last_seen           VARCHAR(32),
    is_active           BOOLEAN      NOT NULL DEFAULT TRUE,
    notes               TEXT,
    created_at          VARCHAR(32)  NOT NULL,
    updated_at          VARCHAR(32)  NOT NULL,
    CONSTRAINT pk_devices PRIMARY KEY (id),
    CONSTRAINT ck_devices_device_type CHECK (device_type IN ('phone', 'modem'))
);

CREATE INDEX ix_devices_device_type ON devices (device_type);
CREATE INDEX ix_devices_iccid ON devices (iccid);
CREATE INDEX ix_devices_last_seen ON devices (last_seen);

CREATE TABLE event_counter (
    id        INTEGER NOT NULL,
    last_id   BIGINT  NOT NULL,
    publishes BOOLEAN NOT NULL DEFAULT FALSE,
    CONSTRAINT pk_event_counter PRIMARY KEY (id),
    CONSTRAINT ck_event_counter_id CHECK (id = 1)
);

CREATE TABLE event_outbox (
    id          INTEGER      NOT NULL,
    origin      VARCHAR(36)  NOT NULL,
    event_type  VARCHAR(32)  NOT NULL,
    entity_type VARCHAR(32)  NOT NULL,
    entity_id   VARCHAR(128),
    action      VARCHAR(32)  NOT NULL,
    occurred_at VARCHAR(32)  NOT NULL,
    data        TEXT         NOT NULL,
    CONSTRAINT pk_event_outbox PRIMARY KEY (id)
);

CREATE TABLE ota_sessions (
    id               VARCHAR(36)  NOT NULL,
    device_id        VARCHAR(64),
    card_iccid       VARCHAR(22),
    session_type     VARCHAR(20),
    status           VARCHAR(20)  NOT NULL DEFAULT 'pending',
    started_at       VARCHAR(32),
    ended_at         VARCHAR(32),
    duration_ms      BIGINT,
    tls_cipher_suite VARCHAR(64),
    tls_psk_identity VARCHAR(128),
    error_code       VARCHAR(32),
    error_message    TEXT,
    created_at       VARCHAR(32)  NOT NULL,
    updated_at       VARCHAR(32)  NOT NULL,
    metadata         TEXT,
    CONSTRAINT pk_ota_sessions PRIMARY KEY (id),
    CONSTRAINT fk_ota_sessions_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT fk_ota_sessions_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT ck_ota_sessions_duration_ms CHECK (duration_ms >= 0),
    CONSTRAINT ck_ota_sessions_session_type CHECK (session_type IN ('triggered', 'polled')),
    CONSTRAINT ck_ota_sessions_status
        CHECK (status IN ('pending', 'active', 'completed', 'failed', 'timeout'))
);

CREATE INDEX ix_ota_sessions_card_iccid_created_at_id ON ota_sessions (card_iccid, created_at, id);
CREATE INDEX ix_ota_sessions_created_at_id_status_duration_ms
    ON ota_sessions (created_at, id, status, duration_ms);
CREATE INDEX ix_ota_sessions_device_id_created_at_id ON ota_sessions (device_id, created_at, id);
CREATE INDEX ix_ota_sessions_status_created_at_id ON ota_sessions (status, created_at, id);

CREATE TABLE comm_logs (
    id             INTEGER      NOT NULL CONSTRAINT pk_comm_logs PRIMARY KEY AUTOINCREMENT,
    session_id     VARCHAR(36)  NOT NULL,
    timestamp      VARCHAR(32)  NOT NULL,
    latency_ms     DOUBLE,
    direction      VARCHAR(20)  NOT NULL,
    raw_data       TEXT         NOT NULL,
    decoded_data   TEXT,
    status_word    VARCHAR(4),
    status_message VARCHAR(128),
    CONSTRAINT fk_comm_logs_session_id
        FOREIGN KEY (session_id) REFERENCES ota_sessions (id) ON DELETE CASCADE,
    CONSTRAINT ck_comm_logs_direction CHECK (direction IN ('command', 'response'))
);

CREATE INDEX ix_comm_logs_session_id_id ON comm_logs (session_id, id);

CREATE TABLE settings (
    "key"       VARCHAR(128) NOT NULL,
    value       TEXT,
    description VARCHAR(256),
    category    VARCHAR(64)  NOT NULL DEFAULT 'general',
    created_at  VARCHAR(32)  NOT NULL,
    updated_at  VARCHAR(32)  NOT NULL,
    CONSTRAINT pk_settings PRIMARY KEY ("key")
);

CREATE INDEX ix_settings_category ON settings (category);

CREATE TABLE test_results (
    id            VARCHAR(36)  NOT NULL,
    run_id        VARCHAR(36)  NOT NULL,
    suite_name    VARCHAR(128) NOT NULL,
    test_name     VARCHAR(256) NOT NULL,
    device_id     VARCHAR(64),
    card_iccid    VARCHAR(22),
    started_at    VARCHAR(32),
    ended_at      VARCHAR(32),
    duration_ms   BIGINT,
    status        VARCHAR(20)  NOT NULL,
    error_message TEXT,
    assertions    TEXT,
    metadata      TEXT,
    created_at    VARCHAR(32)  NOT NULL,
    updated_at    VARCHAR(32)  NOT NULL,
    tries         INTEGER      NOT NULL DEFAULT 1,
    CONSTRAINT pk_test_results PRIMARY KEY (id),
    CONSTRAINT fk_test_results_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT fk_test_results_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT ck_test_results_duration_ms CHECK (duration_ms >= 0),
    CONSTRAINT ck_test_results_status CHECK (status IN ('passed', 'failed', 'skipped', 'error'))
);

CREATE INDEX ix_test_results_card_iccid_started_at_created_at
    ON test_results (card_iccid, started_at, created_at);
CREATE INDEX ix_test_results_created_at_id ON test_results (created_at, id);
CREATE INDEX ix_test_results_device_id_started_at_created_at
    ON test_results (device_id, started_at, created_at);
CREATE INDEX ix_test_results_run_id_started_at ON test_results (run_id, started_at);
CREATE INDEX ix_test_results_started_at_created_at_id ON test_results (started_at, created_at, id);
CREATE INDEX ix_test_results_status_started_at_created_at
    ON test_results (status, started_at, created_at);
CREATE INDEX ix_test_results_suite_name_started_at_created_at
    ON test_results (suite_name, started_at, created_at);
CREATE INDEX ix_test_results_suite_name_test_name_started_at
    ON test_results (suite_name, test_name, started_at);
