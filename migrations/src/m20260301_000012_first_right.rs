//! The neighbourhood's first right: how long a program gives it, where an organisation is at home,
//! and until when a need is kept for its neighbours.

crate::ddl::step! {
    up: r"
ALTER TABLE program ADD COLUMN first_right_hours BIGINT NOT NULL DEFAULT 0
    CONSTRAINT ck_program_first_right CHECK (first_right_hours BETWEEN 0 AND 8760);

ALTER TABLE organization ADD COLUMN home_area TEXT;

ALTER TABLE need ADD COLUMN first_right_until BIGINT;
",
    down: r"
ALTER TABLE need DROP COLUMN first_right_until;

ALTER TABLE organization DROP COLUMN home_area;

ALTER TABLE program DROP COLUMN first_right_hours;
"
}
