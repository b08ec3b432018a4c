//! Audit entries are compressed where PostgreSQL can do it quickly. A claim's entries say the same over and
//! over: a ninth of the bytes is left, and writing fewer of them costs less than making them few.
//!
//! And the references of claim lines are looked up one by one: a plan that was made while there were few claims read
//! all of them for every look, and a claim came to cost more the more there were.
//!
//! LZ4 is there from version 14 on, where the server was built with it; elsewhere entries stay as they were,
//! because the older way of compressing costs more than it saves. What is stored already is not written anew.

crate::ddl::step! {
    up: r"
{postgres}DO $$ BEGIN
    EXECUTE 'ALTER TABLE audit_pack ALTER COLUMN leaves SET COMPRESSION lz4'; EXECUTE
        'ALTER TABLE audit_pack ALTER COLUMN leaves SET STORAGE EXTENDED'; EXCEPTION
    WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
        RAISE NOTICE 'audit entries stay uncompressed: %', SQLERRM; END $$;

ALTER FUNCTION claim_line_has_need() SET enable_hashjoin = off;
ALTER FUNCTION claim_line_has_need() SET enable_mergejoin = off;
ALTER FUNCTION claim_line_has_claim() SET enable_hashjoin = off;
ALTER FUNCTION claim_line_has_claim() SET enable_mergejoin = off;
{end}",
    down: r"
{postgres}ALTER TABLE audit_pack ALTER COLUMN leaves SET STORAGE EXTERNAL;
ALTER FUNCTION claim_line_has_need() RESET enable_hashjoin;
ALTER FUNCTION claim_line_has_need() RESET enable_mergejoin;
ALTER FUNCTION claim_line_has_claim() RESET enable_hashjoin;
ALTER FUNCTION claim_line_has_claim() RESET enable_mergejoin;
{end}"
}
