//! Since when an account is shut out: such accounts are erased in the end.

crate::ddl::step! {
    up: r"
ALTER TABLE app_user ADD COLUMN disabled_at BIGINT;
",
    down: r"
ALTER TABLE app_user DROP COLUMN disabled_at;
"
}
