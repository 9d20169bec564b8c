-- From raw rows to training and holdout interactions: the one definition, run by DuckDB on one machine and by Spark SQL.
-- Each block "-- name: x" is a SELECT that the engine keeps under that name; "-- view: x" is only named. Later blocks
-- read earlier ones. A block that ends in "[split]" belongs to that split alone (splits.py).
-- The engine provides:
--   raw(part, user_id, item_id, occurred, micros, segment, category)   what rows.py reads: text, but micros is a number;
--       part is the partition's place in the data lock; of occurred and micros one is null, by the column's type
--   settings(min_user_interactions, min_item_users, holdout_micros, as_of, max_user_share)   one row; as_of in microseconds
--   unix_micros(timestamp), regexp_like(text, pattern), timestamp_micros(number)   Spark's own; macros in DuckDB

-- Engines differ in what they trim, in whether $ matches before a last line break (hence the !), and in what else they
-- take for a time: only ISO 8601, and seconds since 1970, get through.
-- view: parsed
SELECT
    part,
    user_id,
    item_id,
    COALESCE(occurred, CAST(timestamp_micros(micros) AS STRING)) AS occurred,
    CASE WHEN LENGTH(segment) BETWEEN 1 AND 64 AND segment NOT LIKE '%�%' THEN segment END AS segment,
    CASE WHEN LENGTH(category) BETWEEN 1 AND 64 AND category NOT LIKE '%�%' THEN category END AS category,
    CASE
        WHEN micros IS NOT NULL THEN micros
        WHEN regexp_like(
            CONCAT(moment, '!'),
            '^[12][0-9]{3}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?!$'
        ) THEN
            unix_micros(TRY_CAST(regexp_replace(moment, '(Z|[+-][0-9]{2}:[0-9]{2})$', '') AS TIMESTAMP))
            - CASE
                WHEN regexp_like(moment, ':.*[+-][0-9]{2}:[0-9]{2}$') THEN
                    CASE WHEN SUBSTR(moment, LENGTH(moment) - 5, 1) = '-' THEN -60000000 ELSE 60000000 END
                    * (
                        60 * TRY_CAST(SUBSTR(moment, LENGTH(moment) - 4, 2) AS BIGINT)
                        + TRY_CAST(SUBSTR(moment, LENGTH(moment) - 1, 2) AS BIGINT)
                    )
                ELSE 0
            END
        WHEN regexp_like(CONCAT(moment, '!'), '^[0-9]{9,11}([.][0-9]{1,6})?!$') THEN
            CAST(FLOOR(TRY_CAST(moment AS DOUBLE) * 1000000 + 0.5) AS BIGINT)
    END AS happened
FROM (
    SELECT
        part,
        user_id,
        item_id,
        occurred,
        micros,
        TRIM(BOTH ' ' FROM segment) AS segment,
        TRIM(BOTH ' ' FROM category) AS category,
        TRIM(BOTH ' ' FROM occurred) AS moment
    FROM raw
) AS trimmed

-- view: classified
SELECT
    part,
    user_id,
    item_id,
    occurred,
    happened,
    segment,
    category,
    CASE
        WHEN user_id IS NULL OR LOWER(TRIM(BOTH ' ' FROM user_id)) IN ('', 'nan', 'none', 'null') THEN 'user id is missing'
        WHEN item_id IS NULL OR LOWER(TRIM(BOTH ' ' FROM item_id)) IN ('', 'nan', 'none', 'null') THEN 'item id is missing'
        WHEN LENGTH(user_id) > 256 THEN 'user id is longer than 256 characters'
        WHEN LENGTH(item_id) > 256 THEN 'item id is longer than 256 characters'
        WHEN user_id LIKE '%�%' THEN 'user id cannot be read'
        WHEN item_id LIKE '%�%' THEN 'item id cannot be read'
        WHEN regexp_like(CONCAT(user_id, '!'), '^-[0-9]+([.][0-9]*)?!$') THEN 'user id is negative'
        WHEN regexp_like(CONCAT(item_id, '!'), '^-[0-9]+([.][0-9]*)?!$') THEN 'item id is negative'
        WHEN happened IS NULL THEN 'time is missing or not a time'
        WHEN happened < 0 THEN 'time is before 1970'
        WHEN happened > as_of THEN 'time is in the future'
    END AS reason
FROM parsed
CROSS JOIN settings

-- Copies of a row are merged here: sent twice is not done twice.
-- name: merged
SELECT
    user_id,
    item_id,
    happened,
    MIN(segment) AS segment,
    MIN(category) AS category,
    COUNT(*) AS copies
FROM classified
WHERE reason IS NULL
GROUP BY user_id, item_id, happened

-- A user with most of all there is is a robot, a test account or a default value, never a person.
-- name: crowding
SELECT user_id
FROM (SELECT user_id, COUNT(*) AS n FROM merged GROUP BY user_id) AS counted
CROSS JOIN (SELECT COUNT(*) AS total FROM merged) AS whole
CROSS JOIN settings
WHERE n > max_user_share * total

-- name: quarantine
SELECT
    part,
    reason,
    SUBSTR(user_id, 1, 64) AS user_id,
    SUBSTR(item_id, 1, 64) AS item_id,
    SUBSTR(occurred, 1, 64) AS occurred
FROM (
    SELECT part, reason, user_id, item_id, occurred
    FROM classified
    WHERE reason IS NOT NULL
    UNION ALL
    SELECT part, 'user has more than max_user_share of all rows' AS reason, classified.user_id, item_id, occurred
    FROM classified
    JOIN crowding ON crowding.user_id = classified.user_id
    WHERE reason IS NULL
) AS bad

-- view: events
SELECT merged.user_id, item_id, happened, segment, category, copies
FROM merged
LEFT JOIN crowding ON crowding.user_id = merged.user_id
WHERE crowding.user_id IS NULL

-- name: bounds
SELECT
    MAX(happened) AS newest,
    MAX(happened) - MAX(holdout_micros) AS cutoff
FROM events
CROSS JOIN settings

-- Each split says what is known when the model is trained, and what comes later. What is known alone decides the
-- vocabulary, the counts and the labels, so that the holdout decides nothing.

-- view: known [temporal]
SELECT user_id, item_id, happened, segment, category
FROM events
CROSS JOIN bounds
WHERE happened <= cutoff

-- view: later [temporal]
SELECT user_id, item_id, happened
FROM events
CROSS JOIN bounds
WHERE happened > cutoff

-- Each user's last new item, of two at the same moment the one whose id sorts last; users with one item keep it.
-- name: lasts [leave_one_out]
SELECT user_id, item_id, happened
FROM (
    SELECT
        user_id,
        item_id,
        happened,
        ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY happened DESC, item_id DESC) AS place,
        COUNT(*) OVER (PARTITION BY user_id) AS user_items
    FROM (SELECT user_id, item_id, MIN(happened) AS happened FROM events GROUP BY user_id, item_id) AS firsts
) AS ranked
WHERE place = 1 AND user_items > 1

-- view: known [leave_one_out]
SELECT events.user_id, events.item_id, events.happened, segment, category
FROM events
LEFT JOIN lasts ON lasts.user_id = events.user_id
WHERE lasts.user_id IS NULL OR (events.item_id <> lasts.item_id AND events.happened <= lasts.happened)

-- view: later [leave_one_out]
SELECT events.user_id, events.item_id, events.happened
FROM events
JOIN lasts ON lasts.user_id = events.user_id AND lasts.item_id = events.item_id

-- name: pairs
SELECT
    user_id,
    item_id,
    MIN(happened) AS happened,
    COUNT(*) AS events
FROM known
GROUP BY user_id, item_id

-- A single pass: first items by their users, then users by the items left. It is not repeated until stable.
-- view: with_known_items
SELECT user_id, item_id, happened, events
FROM (SELECT *, COUNT(*) OVER (PARTITION BY item_id) AS item_users FROM pairs) AS counted
CROSS JOIN settings
WHERE item_users >= min_item_users

-- name: kept
SELECT user_id, item_id, happened, events
FROM (SELECT *, COUNT(*) OVER (PARTITION BY user_id) AS user_items FROM with_known_items) AS counted
CROSS JOIN settings
WHERE user_items >= min_user_interactions

-- A user's segment and an item's category: the most frequent one, of equally frequent ones the one that sorts first.
-- name: segments
SELECT id, label
FROM (
    SELECT user_id AS id, segment AS label, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY COUNT(*) DESC, segment) AS place
    FROM known
    WHERE segment IS NOT NULL
    GROUP BY user_id, segment
) AS ranked
WHERE place = 1

-- name: categories
SELECT id, label
FROM (
    SELECT item_id AS id, category AS label, ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY COUNT(*) DESC, category) AS place
    FROM known
    WHERE category IS NOT NULL
    GROUP BY item_id, category
) AS ranked
WHERE place = 1

-- name: users
SELECT known_users.id, label AS segment, ROW_NUMBER() OVER (ORDER BY known_users.id) - 1 AS position
FROM (SELECT DISTINCT user_id AS id FROM kept) AS known_users
LEFT JOIN segments ON segments.id = known_users.id

-- name: items
SELECT known_items.id, label AS category, ROW_NUMBER() OVER (ORDER BY known_items.id) - 1 AS position
FROM (SELECT DISTINCT item_id AS id FROM kept) AS known_items
LEFT JOIN categories ON categories.id = known_items.id

-- view: train
SELECT
    CAST(users.position AS INT) AS user,
    CAST(items.position AS INT) AS item,
    kept.happened AS time,
    CAST(kept.events AS INT) AS events
FROM kept
JOIN users ON users.id = kept.user_id
JOIN items ON items.id = kept.item_id

-- view: holdout
SELECT
    CAST(users.position AS INT) AS user,
    CAST(items.position AS INT) AS item,
    MIN(later.happened) AS time,
    CAST(COUNT(*) AS INT) AS events
FROM later
JOIN users ON users.id = later.user_id
JOIN items ON items.id = later.item_id
LEFT JOIN kept ON kept.user_id = later.user_id AND kept.item_id = later.item_id
WHERE kept.user_id IS NULL
GROUP BY users.position, items.position
