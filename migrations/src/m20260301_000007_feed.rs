//! The change log with one row per transaction, and where it is at home.
//!
//! `feed` tells a database from a copy of it: `home` names the place in which `epoch` was drawn.

crate::ddl::step! {
    up: r"
ALTER TABLE change_log ADD COLUMN needs TEXT NOT NULL DEFAULT '[]';

UPDATE change_log SET needs = '[' || need_id || ']';

ALTER TABLE change_log DROP COLUMN need_id;

ALTER TABLE change_log DROP COLUMN version;

CREATE TABLE feed (
    id BIGINT NOT NULL CONSTRAINT pk_feed PRIMARY KEY CONSTRAINT ck_feed_one CHECK (id = 1),
    epoch TEXT NOT NULL,
    home TEXT NOT NULL
){strict};

INSERT INTO feed (id, epoch, home) VALUES (1, '', '');
",
    down: r"
DROP TABLE feed;

DELETE FROM change_log;

ALTER TABLE change_log ADD COLUMN need_id BIGINT NOT NULL DEFAULT 0;

ALTER TABLE change_log ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

ALTER TABLE change_log DROP COLUMN needs;
"
}
