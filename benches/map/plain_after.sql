-- Keys and indexes once the records are there, and what is derived from them.
UPDATE plain.area SET mercator = ST_Transform(geom, 3857), label = ST_Transform(ST_PointOnSurface(geom), 3857);
CREATE UNIQUE INDEX area_code ON plain.area (code);
INSERT INTO plain.need (id, area_id, item_id, required, delivered, allocated, severity, place, city_id, village_id)
    SELECT n.id, n.area_id, n.item_id, n.required, n.delivered, n.reserved + n.delivered, n.severity, a.place, c.id, v.id
    FROM plain.raw_need n JOIN (SELECT *, row_number() OVER (ORDER BY code) AS place FROM plain.area) a ON a.id = n.area_id
    LEFT JOIN plain.area c ON c.code = left(a.code, 5) AND a.level >= 2
    LEFT JOIN plain.area v ON v.code = left(a.code, 13) AND a.level >= 4;
DROP TABLE plain.raw_need;
ALTER TABLE plain.need ADD FOREIGN KEY (area_id) REFERENCES plain.area, ADD FOREIGN KEY (item_id) REFERENCES plain.item;
CREATE INDEX area_geom ON plain.area USING gist (geom);
CREATE INDEX area_mercator ON plain.area USING gist (mercator);
CREATE INDEX province_tiles ON plain.area USING gist (mercator) WHERE level = 1;
CREATE INDEX city_tiles ON plain.area USING gist (mercator) WHERE level = 2;
CREATE INDEX district_tiles ON plain.area USING gist (mercator) WHERE level = 3;
CREATE INDEX village_tiles ON plain.area USING gist (mercator) WHERE level = 4;
CREATE INDEX rw_tiles ON plain.area USING gist (mercator) WHERE level = 5;
CREATE INDEX rt_tiles ON plain.area USING gist (mercator) WHERE level = 6;
CREATE INDEX labels ON plain.area USING gist (label);
-- All that a list of unserved needs is made of: nothing of them is taken or delivered.
CREATE INDEX unserved ON plain.need (area_id) INCLUDE (id, severity, required, item_id, place) WHERE allocated = 0;
CREATE INDEX of_area ON plain.need (area_id, item_id) INCLUDE (required, allocated, delivered);
CREATE INDEX of_village ON plain.need (village_id, item_id) INCLUDE (required, allocated, delivered);
CREATE INDEX of_city ON plain.need (city_id, item_id) INCLUDE (required, allocated, delivered);

-- Sums per area and item, true as of their last refresh.
CREATE MATERIALIZED VIEW plain.rolled_up AS
    SELECT above.id AS area_id, n.item_id, count(*) AS needs, count(*) FILTER (WHERE n.allocated = 0) AS unserved,
        sum(n.required)::bigint AS required, sum(n.allocated)::bigint AS allocated, sum(n.delivered)::bigint AS delivered
    FROM plain.need n CROSS JOIN LATERAL (VALUES (n.city_id), (n.village_id), (n.area_id)) AS above (id)
    GROUP BY above.id, n.item_id;
CREATE UNIQUE INDEX rolled_up_key ON plain.rolled_up (area_id, item_id)
    INCLUDE (needs, unserved, required, allocated, delivered);

-- What PostGraphile makes fields of.
CREATE FUNCTION plain.unserved_in_box(west float8, south float8, east float8, north float8)
RETURNS SETOF plain.need LANGUAGE sql STABLE AS $$
    SELECT n.* FROM plain.area a JOIN plain.need n ON n.area_id = a.id
    WHERE a.geom && ST_MakeEnvelope(west, south, east, north, 4326)
      AND CASE WHEN a.geom @ ST_MakeEnvelope(west, south, east, north, 4326) THEN true
          ELSE ST_Intersects(a.geom, ST_MakeEnvelope(west, south, east, north, 4326)) END
      AND n.allocated = 0
    ORDER BY n.severity DESC, n.required DESC, n.place, n.id
$$;
CREATE FUNCTION plain.nearest_unserved(lon float8, lat float8, few int)
RETURNS SETOF plain.need LANGUAGE sql STABLE AS $$
    SELECT n.* FROM (
        SELECT u.id, a.mercator <-> ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326), 3857) AS away
        FROM plain.area a JOIN plain.need u ON u.area_id = a.id AND u.allocated = 0
        ORDER BY a.mercator <-> ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326), 3857) LIMIT few + 20
    ) near JOIN plain.need n ON n.id = near.id
    ORDER BY near.away, n.place, n.id LIMIT few
$$;
CREATE TYPE plain.sums AS (
    needs bigint, unserved bigint, required bigint, allocated bigint, delivered bigint, unmet bigint
);
CREATE FUNCTION plain.sums_within(wkt text, item text) RETURNS plain.sums LANGUAGE sql STABLE AS $$
    WITH shape AS MATERIALIZED (SELECT ST_GeomFromText(wkt, 4326) AS geom)
    SELECT count(*), count(*) FILTER (WHERE n.allocated = 0), coalesce(sum(n.required), 0)::bigint,
        coalesce(sum(n.allocated), 0)::bigint, coalesce(sum(n.delivered), 0)::bigint,
        coalesce(sum(n.required - n.allocated), 0)::bigint
    FROM shape JOIN plain.area a ON ST_Intersects(shape.geom, a.geom) JOIN plain.need n ON n.area_id = a.id
    WHERE n.item_id = (SELECT i.id FROM plain.item i WHERE i.key = item)
$$;
