"""asyncpg, which speaks binary alone: prepared statements, cursors over portals, COPY, errors."""
import asyncio
import io
import sys

import asyncpg

host, port = sys.argv[1:]


async def main():
    connection = await asyncpg.connect(host=host, port=int(port), user="tester", database="vigil", ssl=False)
    assert connection.get_server_version().major == 16
    rows = await connection.fetch(
        "SELECT frame_number, ts, avg_confidence, keyframe, source FROM frames WHERE frame_number < $1", 3
    )
    assert [row["frame_number"] for row in rows] == [0, 1, 2]
    assert rows[0]["ts"].isoformat() == "2024-01-01T00:00:00+00:00" and rows[0]["keyframe"] is True
    statement = await connection.prepare("SELECT $1::text, $2::float8, $3::bigint[]")
    assert [parameter.name for parameter in statement.get_parameters()] == ["text", "float8", "int8[]"]
    assert tuple(await statement.fetchrow("a", 1.5, [1, 2])) == ("a", 1.5, [1, 2])
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        numbers = []
        async for row in connection.cursor("SELECT frame_number FROM frames ORDER BY 1", prefetch=3):
            numbers.append(row[0])
        assert numbers == list(range(len(numbers))) and len(numbers) > 3
    out = io.BytesIO()
    tag = await connection.copy_from_query("SELECT 1, 'x'", output=out, format="csv")
    assert tag == "COPY 1" and out.getvalue() == b"1,x\n", (tag, out.getvalue())
    try:
        await connection.fetch("SELECT * FROM nowhere")
        raise SystemExit("no error")
    except asyncpg.UndefinedTableError as error:
        assert error.sqlstate == "42P01"
    await connection.reset()
    await connection.close()


asyncio.run(main())
print("ok")
