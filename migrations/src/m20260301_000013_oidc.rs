//! A provider's own names for people who sign in by it: one for each user.

crate::ddl::step! {
    up: r"
CREATE TABLE user_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BIGINT NOT NULL CONSTRAINT fk_user_identity_user REFERENCES app_user (id),
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_user_identity PRIMARY KEY (issuer, subject),
    CONSTRAINT uq_user_identity_user UNIQUE (user_id, issuer)
){strict};
",
    down: r"
DROP TABLE user_identity;
"
}
