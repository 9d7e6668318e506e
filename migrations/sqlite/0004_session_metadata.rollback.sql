-- Drops the sessions' metadata; sessions without a type become triggered ones. Ids of devices of more
-- than 64 characters stay: SQLite checks no length.

CREATE TABLE ota_sessions_new (
    id               VARCHAR(36)  NOT NULL,
    device_id        VARCHAR(64),
    card_iccid       VARCHAR(22),
    session_type     VARCHAR(20)  NOT NULL,
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

INSERT INTO ota_sessions_new (
    id,
    device_id,
    card_iccid,
    session_type,
    status,
    started_at,
    ended_at,
    duration_ms,
    tls_cipher_suite,
    tls_psk_identity,
    error_code,
    error_message,
    created_at,
    updated_at
)
SELECT
    id,
    device_id,
    card_iccid,
    COALESCE(session_type, 'triggered') AS session_type,
    status,
    started_at,
    ended_at,
    duration_ms,
    tls_cipher_suite,
    tls_psk_identity,
    error_code,
    error_message,
    created_at,
    updated_at
FROM ota_sessions;

DROP TABLE ota_sessions;
ALTER TABLE ota_sessions_new RENAME TO ota_sessions;

CREATE INDEX ix_ota_sessions_device_id_created_at_id ON ota_sessions (device_id, created_at, id);
CREATE INDEX ix_ota_sessions_card_iccid_created_at_id ON ota_sessions (card_iccid, created_at, id);
CREATE INDEX ix_ota_sessions_status_created_at_id ON ota_sessions (status, created_at, id);
CREATE INDEX ix_ota_sessions_created_at_id_status_duration_ms
    ON ota_sessions (created_at, id, status, duration_ms);
