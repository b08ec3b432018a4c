-- Theirs: the same records as a competent hand lays them out for these questions in PostGIS. What a
-- caller without an account may see, and nothing else: small counts are rounded before they come here.
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE SCHEMA plain;

CREATE TABLE plain.area (
    id bigint PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    level smallint NOT NULL,
    households bigint,
    geom geometry(Geometry, 4326) NOT NULL,
    -- As tiles have it, so that no tile projects anything; near by, its distances are in the order of metres.
    mercator geometry(Geometry, 3857),
    label geometry(Point, 3857)
);
CREATE TABLE plain.item (id bigint PRIMARY KEY, key text NOT NULL);
CREATE TABLE plain.need (
    id bigint PRIMARY KEY,
    area_id bigint NOT NULL,
    item_id bigint NOT NULL,
    required bigint NOT NULL,
    delivered bigint NOT NULL,
    allocated bigint NOT NULL,
    unmet bigint NOT NULL GENERATED ALWAYS AS (required - allocated) STORED,
    severity smallint NOT NULL,
    -- Of its area in the order of codes.
    place int NOT NULL,
    service text NOT NULL GENERATED ALWAYS AS (CASE WHEN allocated = 0 THEN 'UNSERVED'
        WHEN delivered = required THEN 'DELIVERED' WHEN allocated = required THEN 'COVERED' ELSE 'PARTIAL' END) STORED,
    -- The areas above, so that no tile climbs the hierarchy.
    city_id bigint,
    village_id bigint
);
CREATE TABLE plain.raw_need (
    id bigint, area_id bigint, item_id bigint, required bigint, reserved bigint, delivered bigint, severity smallint
);
