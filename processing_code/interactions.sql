-- From raw rows to training and holdout interactions: the one definition, run by DuckDB here and by Spark SQL.
-- Each block "-- name: x" is a SELECT; the engine keeps its result under that name, and later blocks read it.
-- The engine provides:
--   raw(part, user_id, item_id, occurred)   everything as text; part is the partition's place in the data lock
--   settings(min_user_interactions, min_item_users, holdout_micros, as_of)   one row; as_of in microseconds
--   unix_micros(timestamp)   microseconds since 1970, UTC (Spark's own function; a macro in DuckDB)

-- name: parsed
SELECT
    part,
    user_id,
    item_id,
    occurred,
    CASE
        -- 'infinity', 'epoch' and the like are words that only some engines take for a time
        WHEN SUBSTR(TRIM(occurred), 1, 1) IN ('1', '2') THEN unix_micros(TRY_CAST(TRIM(occurred) AS TIMESTAMP))
    END AS happened
FROM raw

-- name: classified
SELECT
    part,
    user_id,
    item_id,
    occurred,
    happened,
    CASE
        WHEN user_id IS NULL OR TRIM(user_id) = '' THEN 'user id is missing'
        WHEN item_id IS NULL OR TRIM(item_id) = '' THEN 'item id is missing'
        WHEN LENGTH(user_id) > 256 THEN 'user id is longer than 256 characters'
        WHEN LENGTH(item_id) > 256 THEN 'item id is longer than 256 characters'
        WHEN user_id LIKE '-%' AND TRY_CAST(user_id AS DOUBLE) < 0 THEN 'user id is negative'
        WHEN item_id LIKE '-%' AND TRY_CAST(item_id AS DOUBLE) < 0 THEN 'item id is negative'
        WHEN happened IS NULL THEN 'time is missing or not a time'
        WHEN happened < 0 THEN 'time is before 1970'
        WHEN happened > as_of THEN 'time is in the future'
    END AS reason
FROM parsed
CROSS JOIN settings

-- name: quarantine
SELECT
    part,
    reason,
    SUBSTR(user_id, 1, 64) AS user_id,
    SUBSTR(item_id, 1, 64) AS item_id,
    SUBSTR(occurred, 1, 64) AS occurred
FROM classified
WHERE reason IS NOT NULL

-- name: events
SELECT
    user_id,
    item_id,
    happened,
    COUNT(*) AS copies
FROM classified
WHERE reason IS NULL
GROUP BY user_id, item_id, happened

-- name: bounds
SELECT
    MIN(happened) AS oldest,
    MAX(happened) AS newest,
    MAX(happened) - MAX(holdout_micros) AS cutoff
FROM events
CROSS JOIN settings

-- The vocabulary is taken from what happened up to the cutoff only, so that the holdout decides nothing.
-- name: pairs
SELECT
    user_id,
    item_id,
    MIN(happened) AS happened,
    COUNT(*) AS events
FROM events
CROSS JOIN bounds
WHERE happened <= cutoff
GROUP BY user_id, item_id

-- A single pass: first items by their users, then users by the items left. It is not repeated until stable.
-- name: with_known_items
SELECT user_id, item_id, happened, events
FROM (SELECT *, COUNT(*) OVER (PARTITION BY item_id) AS item_users FROM pairs) AS counted
CROSS JOIN settings
WHERE item_users >= min_item_users

-- name: kept
SELECT user_id, item_id, happened, events
FROM (SELECT *, COUNT(*) OVER (PARTITION BY user_id) AS user_items FROM with_known_items) AS counted
CROSS JOIN settings
WHERE user_items >= min_user_interactions

-- name: users
SELECT user_id AS id, ROW_NUMBER() OVER (ORDER BY user_id) - 1 AS position
FROM (SELECT DISTINCT user_id FROM kept) AS known

-- name: items
SELECT item_id AS id, ROW_NUMBER() OVER (ORDER BY item_id) - 1 AS position
FROM (SELECT DISTINCT item_id FROM kept) AS known

-- name: train
SELECT
    CAST(users.position AS INT) AS user,
    CAST(items.position AS INT) AS item,
    kept.happened AS time,
    CAST(kept.events AS INT) AS events
FROM kept
JOIN users ON users.id = kept.user_id
JOIN items ON items.id = kept.item_id

-- name: holdout
SELECT
    CAST(users.position AS INT) AS user,
    CAST(items.position AS INT) AS item,
    MIN(events.happened) AS time,
    CAST(COUNT(*) AS INT) AS events
FROM events
CROSS JOIN bounds
JOIN users ON users.id = events.user_id
JOIN items ON items.id = events.item_id
LEFT JOIN kept ON kept.user_id = events.user_id AND kept.item_id = events.item_id
WHERE events.happened > bounds.cutoff AND kept.user_id IS NULL
GROUP BY users.position, items.position
