//! References of claim lines on PostgreSQL, checked once for all lines that a statement brings.
//!
//! A foreign key looks up and locks one row for every line, which cost more than all the rest of
//! inserting it. Needs and claims keep their ids and are never deleted, so there is nothing to
//! lock: a look at the whole set, when it comes, is enough. SQLite keeps its foreign keys, which
//! are cheap there.
//!
//! Needs are updated over and over: room left in a page keeps their new versions beside the old.

crate::ddl::step! {
    up: r#"
{postgres}ALTER TABLE claim_line DROP CONSTRAINT fk_claim_line_need;
ALTER TABLE claim_line DROP CONSTRAINT fk_claim_line_claim;

CREATE FUNCTION claim_line_has_need() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$ BEGIN
    IF EXISTS (SELECT FROM brought b WHERE NOT EXISTS (SELECT FROM need n WHERE n.id = b.need_id)) THEN
        RAISE foreign_key_violation USING CONSTRAINT = 'fk_claim_line_need',
            MESSAGE = 'claim lines violate "fk_claim_line_need": there is no such need'; END IF; RETURN NULL; END $$;

CREATE FUNCTION claim_line_has_claim() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$ BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT claim_id FROM brought) b
               WHERE NOT EXISTS (SELECT FROM claim c WHERE c.id = b.claim_id)) THEN
        RAISE foreign_key_violation USING CONSTRAINT = 'fk_claim_line_claim',
            MESSAGE = 'claim lines violate "fk_claim_line_claim": there is no such claim'; END IF; RETURN NULL; END $$;

CREATE FUNCTION refuse_to_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE foreign_key_violation USING CONSTRAINT = TG_ARGV[0],
        MESSAGE = format('violates "%s": rows of %s stay where they are', TG_ARGV[0], TG_TABLE_NAME); END $$;

CREATE TRIGGER fk_claim_line_need AFTER INSERT ON claim_line REFERENCING NEW TABLE AS brought
    FOR EACH STATEMENT EXECUTE FUNCTION claim_line_has_need();
CREATE TRIGGER fk_claim_line_claim AFTER INSERT ON claim_line REFERENCING NEW TABLE AS brought
    FOR EACH STATEMENT EXECUTE FUNCTION claim_line_has_claim();
CREATE TRIGGER claim_line_keeps_need BEFORE UPDATE OF need_id ON claim_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_move('fk_claim_line_need');
CREATE TRIGGER claim_line_keeps_claim BEFORE UPDATE OF claim_id ON claim_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_move('fk_claim_line_claim');
CREATE TRIGGER need_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF id ON need
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_move('fk_claim_line_need');
CREATE TRIGGER claim_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF id ON claim
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_move('fk_claim_line_claim');

ALTER TABLE need SET (fillfactor = 70);
{end}"#,
    down: r#"
{postgres}ALTER TABLE need RESET (fillfactor);

DROP TRIGGER fk_claim_line_need ON claim_line;
DROP TRIGGER fk_claim_line_claim ON claim_line;
DROP TRIGGER claim_line_keeps_need ON claim_line;
DROP TRIGGER claim_line_keeps_claim ON claim_line;
DROP TRIGGER need_stays ON need;
DROP TRIGGER claim_stays ON claim;
DROP FUNCTION claim_line_has_need();
DROP FUNCTION claim_line_has_claim();
DROP FUNCTION refuse_to_move();

ALTER TABLE claim_line ADD CONSTRAINT fk_claim_line_claim FOREIGN KEY (claim_id) REFERENCES claim (id);
ALTER TABLE claim_line ADD CONSTRAINT fk_claim_line_need FOREIGN KEY (need_id) REFERENCES need (id);
{end}"#
}
