-- How many people passed in each ten seconds of a video.
--
--   vigil run examples/count_people.sql
--
-- `make setup` puts the video at .vigil/videos/vtest.avi: pedestrians seen by a fixed camera.

-- From here on its frames are decoded, detected and tracked. Captions are not needed.
CREATE SOURCE street FROM '.vigil/videos/vtest.avi'
    WITH (start_time = '2026-05-01 08:00:00+00', captioner = 'none', embedder = 'none');

-- The tables can be read at any time; a count of everybody waits for the end.
WAIT FOR SOURCE street TIMEOUT '20 minutes';

-- A person is a track: one detection in each frame, one track_id over all of them.
SELECT
    date_bin('10 seconds', ts) AS from_time,
    count(DISTINCT track_id) AS people,
    count(*) AS detections
FROM detections
WHERE source = 'street' AND class_name = 'person'
GROUP BY from_time
ORDER BY from_time;

-- Those who stayed longest.
SELECT track_id, first_ts, last_ts, last_ts - first_ts AS stayed, detections
FROM tracks
WHERE source = 'street' AND class_name = 'person'
ORDER BY stayed DESC, track_id
LIMIT 5;
