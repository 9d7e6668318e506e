-- The six tables of CardLink on PostgreSQL (13 or later).
--
-- COLLATE "C": text is compared byte for byte and ordered by code point, as on SQLite and
-- MySQL, whatever the locale of the database; ids and ICCIDs are no words of a language.
-- Times are TIMESTAMPTZ, so the session's time zone cannot shift them. JSON documents are
-- JSONB.
--
-- The same names of tables, columns, constraints and indexes stand in the SQLite and the
-- MySQL files of this number.

CREATE TABLE devices (
    id                  VARCHAR(64) COLLATE "C" NOT NULL,
    name                VARCHAR(128) COLLATE "C",
    device_type         VARCHAR(20) COLLATE "C" NOT NULL,
    manufacturer        VARCHAR(64) COLLATE "C",
    model               VARCHAR(64) COLLATE "C",
    firmware_version    VARCHAR(64) COLLATE "C",
    imei                VARCHAR(20) COLLATE "C",
    imsi                VARCHAR(20) COLLATE "C",
    iccid               VARCHAR(22) COLLATE "C",
    connection_settings JSONB,
    last_seen           TIMESTAMPTZ,
    is_active           BOOLEAN                 NOT NULL DEFAULT TRUE,
    notes               TEXT COLLATE "C",
    created_at          TIMESTAMPTZ             NOT NULL,
    updated_at          TIMESTAMPTZ             NOT NULL,
    CONSTRAINT pk_devices PRIMARY KEY (id),
    CONSTRAINT ck_devices_device_type CHECK (device_type IN ('phone', 'modem'))
);

-- Lists of one type, the device that holds a card, and the devices seen since a moment.
CREATE INDEX ix_devices_device_type ON devices (device_type);
CREATE INDEX ix_devices_iccid ON devices (iccid);
CREATE INDEX ix_devices_last_seen ON devices (last_seen);

-- devices.iccid and card_profiles.iccid are deliberately not tied by a foreign key: a phone
-- reports the card it holds before anybody has made a profile of that card.
CREATE TABLE card_profiles (
    iccid             VARCHAR(22) COLLATE "C" NOT NULL,
    imsi              VARCHAR(20) COLLATE "C",
    card_type         VARCHAR(20) COLLATE "C" NOT NULL DEFAULT 'UICC',
    atr               VARCHAR(128) COLLATE "C",
    psk_identity      VARCHAR(128) COLLATE "C",
    psk_key_encrypted BYTEA,
    admin_url         VARCHAR(255) COLLATE "C",
    trigger_config    JSONB,
    bip_config        JSONB,
    security_domains  JSONB,
    notes             TEXT COLLATE "C",
    created_at        TIMESTAMPTZ             NOT NULL,
    updated_at        TIMESTAMPTZ             NOT NULL,
    CONSTRAINT pk_card_profiles PRIMARY KEY (iccid),
    CONSTRAINT ck_card_profiles_card_type CHECK (card_type IN ('UICC', 'USIM', 'eUICC', 'ISIM')),
    -- The TLS handshake looks the card up by its PSK identity: one card, or none.
    CONSTRAINT uq_card_profiles_psk_identity UNIQUE (psk_identity)
);

CREATE INDEX ix_card_profiles_card_type ON card_profiles (card_type);

-- A session outlives its device and its card: the history stays, the reference goes.
CREATE TABLE ota_sessions (
    id               VARCHAR(36) COLLATE "C" NOT NULL,
    device_id        VARCHAR(64) COLLATE "C",
    card_iccid       VARCHAR(22) COLLATE "C",
    session_type     VARCHAR(20) COLLATE "C" NOT NULL,
    status           VARCHAR(20) COLLATE "C" NOT NULL DEFAULT 'pending',
    started_at       TIMESTAMPTZ,
    ended_at         TIMESTAMPTZ,
    duration_ms      BIGINT,
    tls_cipher_suite VARCHAR(64) COLLATE "C",
    tls_psk_identity VARCHAR(128) COLLATE "C",
    error_code       VARCHAR(32) COLLATE "C",
    error_message    TEXT COLLATE "C",
    created_at       TIMESTAMPTZ             NOT NULL,
    updated_at       TIMESTAMPTZ             NOT NULL,
    CONSTRAINT pk_ota_sessions PRIMARY KEY (id),
    CONSTRAINT fk_ota_sessions_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT fk_ota_sessions_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT ck_ota_sessions_session_type CHECK (session_type IN ('triggered', 'polled')),
    CONSTRAINT ck_ota_sessions_status
        CHECK (status IN ('pending', 'active', 'completed', 'failed', 'timeout')),
    CONSTRAINT ck_ota_sessions_duration_ms CHECK (duration_ms >= 0)
);

-- Newest first by device, card and status, without a sort; the first two serve their foreign
-- keys too.
CREATE INDEX ix_ota_sessions_device_id_created_at_id ON ota_sessions (device_id, created_at, id);
CREATE INDEX ix_ota_sessions_card_iccid_created_at_id ON ota_sessions (card_iccid, created_at, id);
CREATE INDEX ix_ota_sessions_status_created_at_id ON ota_sessions (status, created_at, id);
-- Keyset pages over all sessions, and the statistics of a window of time from the index alone.
CREATE INDEX ix_ota_sessions_created_at_id_status_duration_ms
    ON ota_sessions (created_at, id, status, duration_ms);

-- The APDUs of a session, in the order of writing. The identity is BY DEFAULT, not ALWAYS, so
-- that an import may bring its own ids (and sets the sequence behind them: setval).
CREATE TABLE comm_logs (
    id             BIGINT                  GENERATED BY DEFAULT AS IDENTITY,
    session_id     VARCHAR(36) COLLATE "C" NOT NULL,
    timestamp      TIMESTAMPTZ             NOT NULL,
    latency_ms     DOUBLE PRECISION,
    direction      VARCHAR(20) COLLATE "C" NOT NULL,
    raw_data       TEXT COLLATE "C"        NOT NULL,
    decoded_data   TEXT COLLATE "C",
    status_word    VARCHAR(4) COLLATE "C",
    status_message VARCHAR(128) COLLATE "C",
    CONSTRAINT pk_comm_logs PRIMARY KEY (id),
    CONSTRAINT fk_comm_logs_session_id
        FOREIGN KEY (session_id) REFERENCES ota_sessions (id) ON DELETE CASCADE,
    CONSTRAINT ck_comm_logs_direction CHECK (direction IN ('command', 'response'))
);

-- The busiest table: this one index reads a session's log in order and serves the foreign
-- key. Each further one would slow the writing of APDUs by a third or more.
CREATE INDEX ix_comm_logs_session_id_id ON comm_logs (session_id, id);

CREATE TABLE test_results (
    id            VARCHAR(36) COLLATE "C"  NOT NULL,
    run_id        VARCHAR(36) COLLATE "C"  NOT NULL,
    suite_name    VARCHAR(128) COLLATE "C" NOT NULL,
    test_name     VARCHAR(256) COLLATE "C" NOT NULL,
    device_id     VARCHAR(64) COLLATE "C",
    card_iccid    VARCHAR(22) COLLATE "C",
    started_at    TIMESTAMPTZ,
    ended_at      TIMESTAMPTZ,
    duration_ms   BIGINT,
    status        VARCHAR(20) COLLATE "C"  NOT NULL,
    error_message TEXT COLLATE "C",
    assertions    JSONB,
    metadata      JSONB,
    created_at    TIMESTAMPTZ              NOT NULL,
    updated_at    TIMESTAMPTZ              NOT NULL,
    CONSTRAINT pk_test_results PRIMARY KEY (id),
    CONSTRAINT fk_test_results_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT fk_test_results_card_iccid
        FOREIGN KEY (card_iccid) REFERENCES card_profiles (iccid) ON DELETE SET NULL,
    CONSTRAINT ck_test_results_status CHECK (status IN ('passed', 'failed', 'skipped', 'error')),
    CONSTRAINT ck_test_results_duration_ms CHECK (duration_ms >= 0)
);

CREATE INDEX ix_test_results_run_id ON test_results (run_id);
CREATE INDEX ix_test_results_suite_name ON test_results (suite_name);
CREATE INDEX ix_test_results_status ON test_results (status);
CREATE INDEX ix_test_results_created_at ON test_results (created_at);
-- A foreign key without an index scans this table for each device or card deleted.
CREATE INDEX ix_test_results_device_id ON test_results (device_id);
CREATE INDEX ix_test_results_card_iccid ON test_results (card_iccid);

CREATE TABLE settings (
    key         VARCHAR(128) COLLATE "C" NOT NULL,
    value       JSONB,
    description VARCHAR(256) COLLATE "C",
    category    VARCHAR(64) COLLATE "C"  NOT NULL DEFAULT 'general',
    created_at  TIMESTAMPTZ              NOT NULL,
    updated_at  TIMESTAMPTZ              NOT NULL,
    CONSTRAINT pk_settings PRIMARY KEY (key)
);

CREATE INDEX ix_settings_category ON settings (category);
