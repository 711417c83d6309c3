// node-postgres: parameters, named statements, types, errors.
const assert = require("node:assert");
const { Client } = require("pg");

const [host, port] = process.argv.slice(2);

(async () => {
  const client = new Client({ host, port: Number(port), user: "tester", database: "vigil" });
  await client.connect();
  const tables = await client.query(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = $1",
    ["public"],
  );
  assert(tables.rows.some((row) => row.table_name === "tracks"));
  for (const limit of [1, 3]) {
    const result = await client.query({
      name: "some-frames",
      text: "SELECT frame_number, ts, keyframe FROM frames WHERE source = $1 ORDER BY 1 LIMIT $2",
      values: ["lobby", limit],
    });
    assert.equal(result.rowCount, limit);
    assert.equal(result.rows[0].ts.toISOString(), "2024-01-01T00:00:00.000Z");
    assert.strictEqual(result.rows[0].keyframe, true);
  }
  const bytes = await client.query("SELECT $1::bytea AS b", [Buffer.from([0, 255])]);
  assert.deepEqual([...bytes.rows[0].b], [0, 255]);
  // Sequelize takes an array of names apart itself.
  const names = await client.query(
    "SELECT array_agg(attname) AS names FROM pg_attribute WHERE attrelid = 'frames'::regclass AND attnum = 2",
  );
  assert.equal(names.fields[0].dataTypeID, 1003);
  assert.equal(names.rows[0].names, "{frame_number}");
  await assert.rejects(client.query("SELECT 1 / 0"), { code: "22012" });
  await client.query("BEGIN");
  await client.query("SAVEPOINT a");
  await assert.rejects(client.query("SELECT * FROM nowhere"), { code: "42P01" });
  await assert.rejects(client.query("SELECT 1"), { code: "25P02" });
  await client.query("ROLLBACK TO a");
  await client.query("COMMIT");
  await client.end();
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
