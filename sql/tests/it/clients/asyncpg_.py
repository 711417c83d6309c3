"""asyncpg, which speaks binary alone: prepared statements, its questions about types, cursors over
portals, COPY, listeners, errors. Nothing here waits for ever."""
import asyncio
import io
import sys

import asyncpg

host, port = sys.argv[1:]


async def main():
    connection = await asyncpg.connect(
        host=host, port=int(port), user="tester", database="vigil", ssl=False, timeout=20, command_timeout=60
    )
    assert connection.get_server_version().major == 16
    rows = await connection.fetch(
        "SELECT frame_number, ts, avg_confidence, keyframe, source FROM frames WHERE frame_number < $1", 3
    )
    assert [row["frame_number"] for row in rows] == [0, 1, 2]
    assert rows[0]["ts"].isoformat() == "2024-01-01T00:00:00+00:00" and rows[0]["keyframe"] is True
    statement = await connection.prepare("SELECT $1::text, $2::float8, $3::bigint[]")
    assert [parameter.name for parameter in statement.get_parameters()] == ["text", "float8", "int8[]"]
    assert tuple(await statement.fetchrow("a", 1.5, [1, 2])) == ("a", 1.5, [1, 2])
    # A type that asyncpg does not know: it asks the catalog what it is, with a recursive query.
    caption, embedding = await connection.fetchrow("SELECT caption, embedding FROM captions ORDER BY frame_number LIMIT 1")
    assert caption == "a dog runs" and embedding.startswith("["), (caption, embedding)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        numbers = []
        async for row in connection.cursor("SELECT frame_number FROM frames ORDER BY 1", prefetch=3):
            numbers.append(row[0])
        assert numbers == list(range(len(numbers))) and len(numbers) > 3
    out = io.BytesIO()
    tag = await connection.copy_from_query("SELECT 1, 'x'", output=out, format="csv")
    assert tag == "COPY 1" and out.getvalue() == b"1,x\n", (tag, out.getvalue())
    told = asyncio.get_running_loop().create_future()
    await connection.add_listener("door", lambda *said: told.done() or told.set_result(said[2:]))
    other = await asyncpg.connect(
        host=host, port=int(port), user="tester", database="vigil", ssl=False, timeout=20, command_timeout=60
    )
    await other.execute("NOTIFY door, 'open'")
    # This connection does nothing meanwhile.
    assert await asyncio.wait_for(told, 30) == ("door", "open")
    await connection.reset_all_listeners() if hasattr(connection, "reset_all_listeners") else None
    await other.close()
    try:
        await connection.fetch("SELECT * FROM nowhere")
        raise SystemExit("no error")
    except asyncpg.UndefinedTableError as error:
        assert error.sqlstate == "42P01"
    try:
        await connection.fetchval("SELECT $1::bigint + $2::bigint", 2**63 - 1, 1)
        raise SystemExit("no error")
    except asyncpg.NumericValueOutOfRangeError as error:
        assert str(error) == "bigint out of range", error
    await connection.reset(timeout=20)
    await connection.close(timeout=20)


asyncio.run(asyncio.wait_for(main(), 120))
print("ok")
