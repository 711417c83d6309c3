"""pgvector-python with one of its drivers: psycopg, psycopg2, asyncpg or sqlalchemy.

    pgvector_python.py DRIVER ADDRESS

The server has captions with vectors. Each part asks for the rows nearest to the vector of the first
row: that row has to come first, at distance 0, and vectors have to be NumPy's.
"""

import asyncio
import sys

import numpy as np

NEAREST = "SELECT frame_number, embedding, embedding <=> {0} FROM captions ORDER BY embedding <=> {0}, frame_number LIMIT 3"


def check(rows, vector, frame_number):
    assert rows[0][0] == frame_number, (rows[0][0], frame_number)
    assert abs(rows[0][2]) < 1e-6, rows[0][2]
    found = as_array(rows[0][1])
    assert found.shape == (384,) and np.allclose(found, vector, atol=1e-6)
    distances = [row[2] for row in rows]
    assert distances == sorted(distances), distances


def as_array(value):
    return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)


def as_list(value):
    return value.to_list() if hasattr(value, "to_list") else list(value)


def psycopg(address):
    import psycopg as driver
    from pgvector import Bit, HalfVector, Vector
    from pgvector.psycopg import register_vector

    with driver.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute("SELECT frame_number, embedding FROM captions ORDER BY 1 LIMIT 1")
            frame_number, vector = cursor.fetchone()
            vector = as_array(vector)
            assert vector.dtype == np.float32, vector.dtype
            for parameter in (vector, Vector(vector)):
                cursor.execute(NEAREST.format("%(v)s"), {"v": parameter}, prepare=True)
                check(cursor.fetchall(), vector, frame_number)
            # The third time the server has its plan.
            for _ in range(3):
                cursor.execute(NEAREST.format("%(v)s"), {"v": vector}, prepare=True)
                check(cursor.fetchall(), vector, frame_number)
            small = np.array([1, 2, 3], dtype=np.float32)
            cursor.execute(
                "SELECT %s, vector_dims(%s), l2_normalize(%s), subvector(%s, 1, 2), %s + %s, %s = %s, "
                "inner_product(%s, %s), %s::text, %s::halfvec, %s::real[], (SELECT %s) <-> '[1,2,3]'",
                [small] * 14,
            )
            found = cursor.fetchone()
            assert as_list(as_array(found[0])) == [1, 2, 3] and found[1] == 3, found
            assert [as_list(as_array(found[at])) for at in (3, 4)] == [[1, 2], [2, 4, 6]], found
            assert found[5] is True and found[6] == 14 and found[7] == "[1,2,3]", found
            assert as_list(found[8]) == [1, 2, 3] and found[9] == [1, 2, 3] and found[10] == 0, found
            half = HalfVector([1, 2.5, -3])
            cursor.execute("SELECT %s, %s + '[1,1,1]', %s <-> %s", [half, half, half, half])
            found = cursor.fetchone()
            assert isinstance(found[0], HalfVector) and as_list(found[0]) == [1, 2.5, -3], found
            assert as_list(found[1]) == [2, 3.5, -2] and found[2] == 0, found
            query = "SELECT frame_number FROM captions ORDER BY embedding::halfvec(384) <=> %s, 1 LIMIT 1"
            # A `vector` beside a `halfvec` becomes one.
            for parameter in (HalfVector(vector), Vector(vector), vector):
                for _ in range(3):
                    cursor.execute(query, [parameter], prepare=True)
                    assert cursor.fetchone()[0] == frame_number
            cursor.execute("SELECT '[1,2,3]'::halfvec <-> %s", [small])
            assert cursor.fetchone()[0] == 0
            for wrong in (np.array([1, np.nan, 3]), np.array([1, 1e6, 3]), np.array([1.0])):
                try:
                    cursor.execute("SELECT '[1,2,3]'::halfvec(3) <-> %s", [wrong])
                except driver.Error:
                    continue
                raise AssertionError(wrong)
            bits = Bit([True, False, True] * 3)
            for placeholder in ("%s", "%b", "%t"):
                cursor.execute(
                    f"SELECT {placeholder} <~> B'111111111', %b = '101101101'::bit(9)", [bits, bits]
                )
                assert cursor.fetchone() == (3, True)
        # What is kept of a plan and of its columns is not used for another format or time zone.
        stamped = "SELECT ts, embedding FROM captions ORDER BY embedding <=> %s, frame_number LIMIT 3"
        for zone, offset in (("UTC", b"+00"), ("Asia/Tokyo", b"+09"), ("UTC", b"+00")):
            connection.execute(f"SET TimeZone = '{zone}'")
            for binary in (False, False, False, True, True, False):
                cursor = connection.cursor(binary=binary)
                cursor.execute(stamped, [vector], prepare=True)
                value = cursor.pgresult.get_value(0, 0)
                assert value.endswith(offset) != binary and (len(value) == 8) == binary, value
                assert np.allclose(as_array(cursor.fetchone()[1]), vector, atol=1e-6)
        cursor = connection.execute("SELECT '[1]'::halfvec, B'101', '1'::varbit, %s", [bits])
        described = [column.type_display for column in cursor.description[:3]]
        assert described == ["halfvec", "bit", "varbit"], described
        total = connection.execute("SELECT avg(embedding) FROM captions").fetchone()[0]
        assert as_array(total).shape == (384,)


def psycopg2(address):
    import psycopg2 as driver
    from pgvector import HalfVector
    from pgvector.psycopg2 import register_vector

    connection = driver.connect(address)
    register_vector(connection)
    cursor = connection.cursor()
    cursor.execute("SELECT frame_number, embedding FROM captions ORDER BY 1 LIMIT 1")
    frame_number, vector = cursor.fetchone()
    vector = as_array(vector)
    cursor.execute(NEAREST.format("%(v)s"), {"v": vector})
    check(cursor.fetchall(), vector, frame_number)
    cursor.execute("SELECT %s::halfvec, '[1.5,2]'::halfvec", [HalfVector([1, 2.5])])
    found = cursor.fetchone()
    assert [as_list(value) for value in found] == [[1, 2.5], [1.5, 2]], found
    connection.close()


def asyncpg(address):
    import asyncpg as driver
    from pgvector import HalfVector
    from pgvector.asyncpg import register_vector

    async def run():
        connection = await driver.connect(address, timeout=20, command_timeout=20)
        await register_vector(connection)
        row = await connection.fetchrow(
            "SELECT frame_number, embedding FROM captions ORDER BY 1 LIMIT 1"
        )
        frame_number, vector = row[0], as_array(row[1])
        for _ in range(3):
            rows = await connection.fetch(NEAREST.format("$1"), vector)
            check(rows, vector, frame_number)
        half = HalfVector([1, 2.5, -3])
        found = await connection.fetchrow(
            "SELECT $1::halfvec, $1::halfvec(3) * '[2,2,2]', '[1,2,3]'::halfvec <-> $1", half
        )
        assert as_list(found[0]) == [1, 2.5, -3] and as_list(found[1]) == [2, 5, -6], found
        bits = driver.BitString("101101101")
        found = await connection.fetchrow(
            "SELECT B'111111111' <~> $1, $1::bit(9), binary_quantize('[1,-1]'::vector)", bits
        )
        assert found[0] == 3 and found[1] == bits, found
        assert found[2] == driver.BitString("10"), found
        await connection.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def sqlalchemy(address):
    from pgvector.sqlalchemy import HALFVEC, Vector
    from sqlalchemy import BigInteger, Text, cast, create_engine, func, select
    from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

    class Base(DeclarativeBase):
        pass

    class Caption(Base):
        __tablename__ = "captions"
        source = mapped_column(Text, primary_key=True)
        frame_number = mapped_column(BigInteger, primary_key=True)
        embedding = mapped_column(Vector(384))

    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        first = session.scalars(select(Caption).order_by(Caption.frame_number).limit(1)).one()
        vector = as_array(first.embedding)
        distance = Caption.embedding.cosine_distance(vector)
        nearest = select(Caption.frame_number, Caption.embedding, distance)
        rows = session.execute(nearest.order_by(distance, Caption.frame_number).limit(3)).all()
        check(rows, vector, first.frame_number)
        for distance in (Caption.embedding.l2_distance, Caption.embedding.l1_distance):
            found = session.scalars(select(Caption).order_by(distance(vector)).limit(1)).one()
            assert np.allclose(as_array(found.embedding), vector, atol=1e-6)
        product = Caption.embedding.max_inner_product(vector)
        found = session.scalars(select(Caption).order_by(product).limit(1)).one()
        assert np.allclose(as_array(found.embedding), vector, atol=1e-6)
        half = cast(Caption.embedding, HALFVEC(384)).cosine_distance(vector)
        query = select(Caption.frame_number).order_by(half, Caption.frame_number).limit(1)
        assert session.scalars(query).one() == first.frame_number
        mean = session.scalars(select(func.avg(Caption.embedding))).one()
        assert mean is not None


if __name__ == "__main__":
    {"psycopg": psycopg, "psycopg2": psycopg2, "asyncpg": asyncpg, "sqlalchemy": sqlalchemy}[
        sys.argv[1]
    ](sys.argv[2])
    print("ok")
