//! Which changes came in an import: a map that is going to be replaced takes in the others alone.

crate::ddl::step! {
    up: r"
ALTER TABLE change_log ADD COLUMN imported BIGINT NOT NULL DEFAULT 0;
",
    down: r"
ALTER TABLE change_log DROP COLUMN imported;
"
}
