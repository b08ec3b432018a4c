//! Organisations, users, what is granted to them, and the keys they call with.

crate::ddl::step! {
    up: r"
CREATE TABLE organization (
    id {id pk_organization},
    name TEXT NOT NULL CONSTRAINT uq_organization_name UNIQUE,
    category TEXT NOT NULL CONSTRAINT ck_organization_category
        CHECK (category IN ('INDIVIDUAL', 'BUSINESS', 'GOVERNMENT', 'CIVIL_SOCIETY', 'FOREIGN')),
    status TEXT NOT NULL CONSTRAINT ck_organization_status CHECK (status IN ('PENDING', 'VERIFIED', 'SUSPENDED')),
    aggregator BIGINT NOT NULL CONSTRAINT ck_organization_aggregator CHECK (aggregator IN (0, 1)),
    version BIGINT NOT NULL
){strict};

CREATE TABLE app_user (
    id {id pk_app_user},
    email TEXT NOT NULL CONSTRAINT uq_app_user_email UNIQUE,
    organization_id BIGINT CONSTRAINT fk_app_user_organization REFERENCES organization (id),
    area_code TEXT,
    disabled BIGINT NOT NULL DEFAULT 0 CONSTRAINT ck_app_user_disabled CHECK (disabled IN (0, 1)),
    version BIGINT NOT NULL
){strict};

CREATE TABLE user_role (
    user_id BIGINT NOT NULL CONSTRAINT fk_user_role_user REFERENCES app_user (id),
    role TEXT NOT NULL CONSTRAINT ck_user_role_role
        CHECK (role IN ('DONOR', 'AGGREGATOR', 'AREA_OFFICER', 'AUDITOR', 'ADMIN')),
    CONSTRAINT pk_user_role PRIMARY KEY (user_id, role)
){strict};

CREATE TABLE api_key (
    id {id pk_api_key},
    user_id BIGINT NOT NULL CONSTRAINT fk_api_key_user REFERENCES app_user (id),
    prefix TEXT NOT NULL,
    hash BYTEA NOT NULL CONSTRAINT uq_api_key_hash UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
){strict};

CREATE INDEX ix_api_key_user ON api_key (user_id);
",
    down: r"
DROP TABLE api_key;
DROP TABLE user_role;
DROP TABLE app_user;
DROP TABLE organization;
"
}
