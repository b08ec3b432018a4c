//! Areas with their editions, and the programs with their items.

crate::ddl::step! {
    up: r"
CREATE TABLE edition (
    id {id pk_edition},
    published_at BIGINT NOT NULL,
    level BIGINT NOT NULL CONSTRAINT ck_edition_level CHECK (level BETWEEN 1 AND 6),
    areas BIGINT NOT NULL,
    source TEXT NOT NULL
){strict};

CREATE TABLE area (
    id {id pk_area},
    code TEXT NOT NULL CONSTRAINT uq_area_code UNIQUE,
    name TEXT NOT NULL,
    label TEXT,
    level BIGINT NOT NULL CONSTRAINT ck_area_level CHECK (level BETWEEN 1 AND 6),
    parent_id BIGINT CONSTRAINT fk_area_parent REFERENCES area (id),
    lon DOUBLE PRECISION,
    lat DOUBLE PRECISION,
    geometry BYTEA,
    shape_source TEXT CONSTRAINT ck_area_shape_source CHECK (shape_source IN ('IMPORTED', 'GENERATED')),
    households BIGINT CONSTRAINT ck_area_households CHECK (households >= 0),
    poor_households BIGINT CONSTRAINT ck_area_poor CHECK (poor_households >= 0),
    bps_code TEXT,
    edition_id BIGINT NOT NULL CONSTRAINT fk_area_edition REFERENCES edition (id),
    CONSTRAINT ck_area_shape CHECK ((geometry IS NULL) = (shape_source IS NULL)),
    CONSTRAINT ck_area_point CHECK ((lon IS NULL) = (lat IS NULL)),
    CONSTRAINT ck_area_parent CHECK ((level = 1) = (parent_id IS NULL))
){strict};

CREATE INDEX ix_area_parent ON area (parent_id);

CREATE TABLE program (
    id {id pk_program},
    key TEXT NOT NULL CONSTRAINT uq_program_key UNIQUE,
    name_id TEXT NOT NULL,
    name_en TEXT NOT NULL,
    hold_seconds BIGINT NOT NULL CONSTRAINT ck_program_hold CHECK (hold_seconds >= 2),
    max_hold_seconds BIGINT NOT NULL,
    max_renewals BIGINT NOT NULL CONSTRAINT ck_program_renewals CHECK (max_renewals >= 0),
    version BIGINT NOT NULL,
    CONSTRAINT ck_program_max_hold CHECK (max_hold_seconds >= hold_seconds)
){strict};

CREATE TABLE item (
    id {id pk_item},
    program_id BIGINT NOT NULL CONSTRAINT fk_item_program REFERENCES program (id),
    key TEXT NOT NULL CONSTRAINT uq_item_key UNIQUE,
    name_id TEXT NOT NULL,
    name_en TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL CONSTRAINT ck_item_kind
        CHECK (kind IN ('FOOD', 'DEVICE', 'TRAINING', 'FACILITY', 'CAPITAL', 'MATERIAL', 'SERVICE', 'OTHER')),
    version BIGINT NOT NULL
){strict};

CREATE INDEX ix_item_program ON item (program_id);
",
    down: r"
DROP TABLE item;
DROP TABLE program;
DROP TABLE area;
DROP TABLE edition;
"
}
