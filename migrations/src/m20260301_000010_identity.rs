//! How people get in: passwords, browser sessions, links that work once, documents of organisations,
//! and the allowances that keep guessing slow.
//!
//! Nothing that opens a door is kept as it is: sessions, keys and links as SHA-256 of random bytes,
//! passwords as argon2id.

crate::ddl::step! {
    up: r"
ALTER TABLE app_user ADD COLUMN password_hash TEXT;
ALTER TABLE app_user ADD COLUMN manager BIGINT NOT NULL DEFAULT 0
    CONSTRAINT ck_app_user_manager CHECK (manager IN (0, 1));

CREATE INDEX ix_app_user_organization ON app_user (organization_id);

ALTER TABLE organization ADD COLUMN status_reason TEXT;

ALTER TABLE api_key ADD COLUMN label TEXT;
ALTER TABLE api_key ADD COLUMN scopes TEXT;

CREATE TABLE organization_document (
    id {id pk_organization_document},
    organization_id BIGINT NOT NULL CONSTRAINT fk_organization_document_organization REFERENCES organization (id),
    kind TEXT NOT NULL CONSTRAINT ck_organization_document_kind CHECK (kind IN ('PERMIT', 'NIB', 'OTHER')),
    number TEXT NOT NULL,
    issuer TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    area_code TEXT,
    CONSTRAINT ck_organization_document_valid CHECK (valid_from <= valid_until)
){strict};

CREATE INDEX ix_organization_document_organization ON organization_document (organization_id);

CREATE TABLE session (
    id {id pk_session},
    user_id BIGINT NOT NULL CONSTRAINT fk_session_user REFERENCES app_user (id),
    hash BYTEA NOT NULL CONSTRAINT uq_session_hash UNIQUE,
    previous_hash BYTEA CONSTRAINT uq_session_previous_hash UNIQUE,
    previous_until BIGINT,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT ck_session_previous CHECK (previous_until IS NULL OR previous_hash IS NOT NULL)
){strict};

CREATE INDEX ix_session_user ON session (user_id);

CREATE TABLE one_time_link (
    hash BYTEA NOT NULL CONSTRAINT pk_one_time_link PRIMARY KEY,
    purpose TEXT NOT NULL CONSTRAINT ck_one_time_link_purpose CHECK (purpose IN ('SIGN_UP', 'RESET', 'INVITATION')),
    email TEXT NOT NULL,
    payload TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
){strict};

CREATE INDEX ix_one_time_link_expires ON one_time_link (expires_at);

CREATE TABLE known_device (
    hash BYTEA NOT NULL,
    user_id BIGINT NOT NULL CONSTRAINT fk_known_device_user REFERENCES app_user (id),
    seen_at BIGINT NOT NULL,
    CONSTRAINT pk_known_device PRIMARY KEY (user_id, hash)
){strict};

CREATE TABLE allowance (
    bucket BYTEA NOT NULL CONSTRAINT pk_allowance PRIMARY KEY,
    used BIGINT NOT NULL CONSTRAINT ck_allowance_used CHECK (used >= 0),
    ends_at BIGINT NOT NULL
){strict};

CREATE INDEX ix_allowance_ends ON allowance (ends_at);
",
    down: r"
DROP TABLE allowance;
DROP TABLE known_device;
DROP TABLE one_time_link;
DROP TABLE session;
DROP TABLE organization_document;
ALTER TABLE api_key DROP COLUMN scopes;
ALTER TABLE api_key DROP COLUMN label;
ALTER TABLE organization DROP COLUMN status_reason;
DROP INDEX ix_app_user_organization;
ALTER TABLE app_user DROP COLUMN manager;
ALTER TABLE app_user DROP COLUMN password_hash;
"
}
