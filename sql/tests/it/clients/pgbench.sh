# pgbench with a script of its own, in each of its three protocols.
set -eu
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'SQL'
\set n random(0, 9)
BEGIN;
SELECT frame_number, ts FROM frames WHERE frame_number = :n;
SELECT count(*) FROM detections WHERE class_name = 'person';
COMMIT;
SQL
for protocol in simple extended prepared; do
    pgbench --no-vacuum --protocol "$protocol" --client 2 --transactions 20 --file "$script" \
        --host "$1" --port "$2" --username tester vigil | grep -q 'number of failed transactions: 0'
done
echo ok
