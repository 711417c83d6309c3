-- Statements that answer here as in PostgreSQL with pgvector, one a line: rows to 1e-6, errors word for word.
SELECT '[1,2,3]'::vector
SELECT '[1, 2.5, -3e-2]'::vector(3)
SELECT ' [ 1 , 2 ] '::vector
SELECT '[1e-60]'::vector
SELECT ARRAY[1,2,3]::vector
SELECT ARRAY[1.5,2.5]::real[]::vector
SELECT ARRAY[1.5,2.5]::float8[]::vector
SELECT ARRAY[1,2]::integer[]::vector(2)
SELECT '[1,2,3]'::vector::real[]
SELECT '[1,2,3]'::vector::text
SELECT ('[1,2.5]'::vector)::text || 'x'
SELECT '[0.1,1e10,1e-5,123456,1234567]'::vector::text
SELECT length('[1,2]'::vector::text)
SELECT NULL::vector
SELECT '[1,2,3]'::vector(2)
SELECT '[]'::vector
SELECT '[1,2'::vector
SELECT '1,2'::vector
SELECT '[1,,2]'::vector
SELECT '[1,2]x'::vector
SELECT '[NaN]'::vector
SELECT '[Infinity]'::vector
SELECT '[4e38]'::vector
SELECT '[1]'::vector(0)
SELECT '[1]'::vector(16001)
SELECT ARRAY[1,NULL]::integer[]::vector
SELECT '{NaN}'::real[]::vector
SELECT '[1,2]'::vector <-> '[4,6]'
SELECT '[1,2]'::vector <=> '[2,1]'
SELECT '[1,2]'::vector <#> '[3,4]'
SELECT '[1,2]'::vector <+> '[4,-6]'
SELECT '[1,2]'::vector <-> '[1]'
SELECT '[1,2]'::vector <=> '[1]'
SELECT '[1,2]'::vector <#> '[1]'
SELECT '[1,2]'::vector <+> '[1]'
SELECT '[1,2]'::vector <-> NULL
SELECT '[3e38]'::vector <-> '[-3e38]'
SELECT l2_distance('[0,0]'::vector, '[3,4]')
SELECT cosine_distance('[1,1]'::vector, '[-1,-1]')
SELECT cosine_distance('[1,1]'::vector, '[1.1,1.1]')
SELECT cosine_distance('[1e-4,0]'::vector, '[1,1]')
SELECT inner_product('[1,2]'::vector, '[3,4]')
SELECT l1_distance('[1,2]'::vector, '[3,7]')
SELECT l2_distance('[1,2]'::vector, '[3]')
SELECT vector_dims('[1,2,3]'::vector)
SELECT vector_norm('[3,4]'::vector)
SELECT vector_norm('[0,0]'::vector)
SELECT l2_normalize('[3,4]'::vector)
SELECT l2_normalize('[0,0]'::vector)
SELECT subvector('[1,2,3,4,5]'::vector, 2, 3)
SELECT subvector('[1,2,3,4,5]'::vector, 0, 3)
SELECT subvector('[1,2,3,4,5]'::vector, 4, 9)
SELECT subvector('[1,2,3]'::vector, 4, 1)
SELECT subvector('[1,2,3]'::vector, 1, 0)
SELECT '[1,2]'::vector + '[3,4]'
SELECT '[1,2]'::vector - '[3,5]'
SELECT '[1,2]'::vector * '[3,4]'
SELECT '[1,2]'::vector + '[3]'
SELECT '[3e38]'::vector + '[3e38]'
SELECT '[3e38]'::vector * '[10]'
SELECT '[1e-30]'::vector * '[1e-30]'
SELECT '[1,2]'::vector || '[3]'
SELECT '[1,2]'::vector || NULL
SELECT '[1,2,3]'::vector = '[1,2,3]'
SELECT '[1,2,3]'::vector <> '[1,2,3]'
SELECT '[1,2,3]'::vector < '[1,2,4]'
SELECT '[1,2]'::vector < '[1,2,0]'
SELECT '[1,2]'::vector = '[1,2,0]'
SELECT '[2]'::vector > '[1,9]'
SELECT '[1,2]'::vector <= '[1,2]'
SELECT '[1,2]'::vector >= '[1,3]'
SELECT '[1,2]'::vector = NULL
SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3,4]'::vector), (NULL::vector)) AS t (v)
SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[3,5]'::vector), (NULL::vector)) AS t (v)
SELECT sum(v), avg(v) FROM (VALUES (NULL::vector)) AS t (v)
SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3]'::vector)) AS t (v)
SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[3]'::vector)) AS t (v)
SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]'::vector)) AS t (v)
SELECT k, sum(v), avg(v) FROM (VALUES (1, '[1,2]'::vector), (2, '[3,5]'::vector), (1, '[1,1]'::vector)) AS t (k, v) GROUP BY k ORDER BY k
SELECT sum(n), avg(n) FROM (VALUES (1.5), (2.5)) AS t (n)
SELECT v FROM (VALUES ('[2]'::vector), ('[1,9]'::vector), ('[1]'::vector), (NULL::vector)) AS t (v) ORDER BY v
SELECT v FROM (VALUES ('[2]'::vector), ('[1,9]'::vector), ('[1]'::vector), (NULL::vector)) AS t (v) ORDER BY v DESC NULLS LAST
SELECT DISTINCT v FROM (VALUES ('[2]'::vector), ('[1,9]'::vector), ('[2]'::vector)) AS t (v) ORDER BY v
SELECT v, count(*) FROM (VALUES ('[2]'::vector), ('[1,9]'::vector), ('[2]'::vector)) AS t (v) GROUP BY v ORDER BY v
SELECT v FROM (VALUES ('[1,0]'::vector), ('[0,1]'::vector), ('[1,1]'::vector)) AS t (v) ORDER BY v <=> '[1,0.1]' LIMIT 2
SELECT v FROM (VALUES ('[1,0]'::vector), ('[0,1]'::vector), ('[1,1]'::vector)) AS t (v) ORDER BY v <-> '[1,0.1]', v LIMIT 3
SELECT v FROM (VALUES ('[1,0]'::vector), ('[0,1]'::vector)) AS t (v) WHERE v <=> '[1,0]' < 0.5
SELECT a.v <-> b.v FROM (VALUES ('[1,0]'::vector)) AS a (v), (VALUES ('[0,1]'::vector)) AS b (v)
SELECT binary_quantize('[1,-2,3,0]'::vector)
SELECT binary_quantize('[1,-2,3]'::vector) <~> binary_quantize('[-1,-2,3]'::vector)
SELECT hamming_distance('101'::bit(3), '110'::bit(3))
SELECT jaccard_distance('101'::bit(3), '110'::bit(3))
SELECT '1010'::bit(4) <%> '1111'::bit(4)
SELECT '101'::bit(5)
SELECT '10111'::bit(3)
SELECT B'101' <~> B'111'
SELECT '101'::bit(3) <~> '11'::bit(2)
SELECT '[1.1,2]'::halfvec(2)
SELECT '[1,2]'::halfvec <-> '[4,6]'
SELECT '[65505]'::halfvec
SELECT '[65520]'::halfvec
SELECT '[1.1]'::vector::halfvec
SELECT '[1,2,3]'::halfvec(2)
SELECT '[NaN]'::halfvec
SELECT '[1,2,3]'::halfvec
SELECT '[1, 2.5, -3e-2]'::halfvec(3)
SELECT '[0.1,1e4,1e-5,123,65504,6e-8,1e-9]'::halfvec::text
SELECT ARRAY[1.5,2.25]::halfvec
SELECT ARRAY[1,2]::integer[]::halfvec(2)
SELECT ARRAY[1.5,2.5]::real[]::halfvec
SELECT ARRAY[1.5,2.5]::float8[]::halfvec
SELECT '[1.5,2]'::halfvec::real[]
SELECT '[1.1,2]'::halfvec::vector
SELECT '[1.1,2]'::halfvec::vector(2)
SELECT '[1.1,2]'::halfvec::vector(3)
SELECT '[1.1,2]'::vector::halfvec(3)
SELECT '[70000]'::vector::halfvec
SELECT '[1e10]'::vector::halfvec
SELECT ARRAY[70000]::integer[]::halfvec
SELECT '{NaN}'::real[]::halfvec
SELECT '{Infinity}'::real[]::halfvec
SELECT ARRAY[1,NULL]::integer[]::halfvec
SELECT '{}'::real[]::halfvec
SELECT NULL::halfvec
SELECT '[]'::halfvec
SELECT '[1,2'::halfvec
SELECT '1,2'::halfvec
SELECT '[1,,2]'::halfvec
SELECT '[1,2]x'::halfvec
SELECT '[Infinity]'::halfvec
SELECT '[70000]'::halfvec
SELECT '[-70000]'::halfvec
SELECT '[4e38]'::halfvec
SELECT '[1e-10]'::halfvec
SELECT '[1]'::halfvec(0)
SELECT '[1]'::halfvec(16001)
SELECT '[1,2]'::halfvec <=> '[2,1]'
SELECT '[1,2]'::halfvec <#> '[3,4]'
SELECT '[1,2]'::halfvec <+> '[4,-6]'
SELECT '[1,2,3]'::halfvec <-> '[1,2]'
SELECT '[1,2,3]'::halfvec <=> '[1,2]'
SELECT '[1,2,3]'::halfvec <#> '[1,2]'
SELECT '[1,2,3]'::halfvec <+> '[1,2]'
SELECT '[1,2]'::halfvec <-> NULL
SELECT '[1.1,2]'::halfvec <-> '[1.1,2]'::vector
SELECT '[1.1,2]'::vector <-> '[1.1,3]'::halfvec
SELECT l2_distance('[0,0]'::halfvec, '[3,4]'::halfvec)
SELECT l2_distance('[0,0]'::halfvec, '[3,4]')
SELECT cosine_distance('[1,1]'::halfvec, '[1.1,1.1]'::halfvec)
SELECT inner_product('[1,2]'::halfvec, '[3,4]'::halfvec)
SELECT l1_distance('[1,2]'::halfvec, '[3,7]'::halfvec)
SELECT l2_distance('[1,2]'::halfvec, '[3]'::halfvec)
SELECT vector_dims('[1,2,3]'::halfvec)
SELECT l2_norm('[3,4]'::halfvec)
SELECT l2_norm('[1.1,2]'::halfvec)
SELECT l2_normalize('[3,4]'::halfvec)
SELECT l2_normalize('[0,0]'::halfvec)
SELECT l2_normalize('[65504]'::halfvec)
SELECT subvector('[1,2,3,4,5]'::halfvec, 2, 3)
SELECT subvector('[1,2,3,4,5]'::halfvec, 0, 3)
SELECT subvector('[1,2,3]'::halfvec, 4, 1)
SELECT binary_quantize('[1,-2,3,0]'::halfvec)
SELECT '[1,2]'::halfvec + '[3,4]'
SELECT '[1.1,2]'::halfvec + '[0.1,0.001]'
SELECT '[1,2]'::halfvec - '[3,5]'
SELECT '[1.1,2]'::halfvec * '[3,4]'
SELECT '[1,2,3]'::halfvec + '[3,4]'
SELECT '[1,2,3]'::halfvec - '[3,4]'
SELECT '[1,2,3]'::halfvec * '[3,4]'
SELECT '[65504]'::halfvec + '[65504]'
SELECT '[-65504]'::halfvec - '[65504]'
SELECT '[65504]'::halfvec * '[2]'
SELECT '[1e-7]'::halfvec * '[1e-7]'
SELECT '[1,2]'::halfvec || '[3]'
SELECT '[1,2]'::halfvec || NULL
SELECT '[1,2,3]'::halfvec = '[1,2,3]'
SELECT '[1,2,3]'::halfvec <> '[1,2,3]'
SELECT '[1,2,3]'::halfvec < '[1,2,4]'
SELECT '[1,2]'::halfvec < '[1,2,0]'
SELECT '[2]'::halfvec > '[1,9]'
SELECT '[1,2]'::halfvec <= '[1,2]'
SELECT '[1,2]'::halfvec >= '[1,3]'
SELECT '[1.1]'::halfvec = '[1.1]'::vector
SELECT '[1,2]'::halfvec = NULL
SELECT sum(v) FROM (VALUES ('[1,2]'::halfvec), ('[3,4]'::halfvec), (NULL::halfvec)) AS t (v)
SELECT avg(v) FROM (VALUES ('[1,2]'::halfvec), ('[3,5]'::halfvec), (NULL::halfvec)) AS t (v)
SELECT sum(v), avg(v) FROM (VALUES (NULL::halfvec)) AS t (v)
SELECT sum(v) FROM (VALUES ('[1,2]'::halfvec), ('[3]'::halfvec)) AS t (v)
SELECT avg(v) FROM (VALUES ('[1,2]'::halfvec), ('[3]'::halfvec)) AS t (v)
SELECT sum(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]'::halfvec)) AS t (v)
SELECT avg(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]'::halfvec)) AS t (v)
SELECT v FROM (VALUES ('[2]'::halfvec), ('[1,9]'::halfvec), ('[1]'::halfvec), (NULL::halfvec)) AS t (v) ORDER BY v
SELECT DISTINCT v FROM (VALUES ('[2]'::halfvec), ('[1,9]'::halfvec), ('[2]'::halfvec)) AS t (v) ORDER BY v
SELECT v, count(*) FROM (VALUES ('[2]'::halfvec), ('[1,9]'::halfvec), ('[2]'::halfvec)) AS t (v) GROUP BY v ORDER BY v
SELECT v FROM (VALUES ('[1,0]'::halfvec), ('[0,1]'::halfvec), ('[1,1]'::halfvec)) AS t (v) ORDER BY v <=> '[1,0.1]' LIMIT 2
SELECT pg_typeof('[1]'::halfvec), pg_typeof('[1]'::halfvec + '[1]'), pg_typeof(subvector('[1,2]'::halfvec, 1, 1))
SELECT ('[1,2.5]'::halfvec)::text || 'x'
SELECT coalesce(NULL::halfvec, '[1.1]'::halfvec)
SELECT CASE WHEN true THEN '[1.1]'::halfvec ELSE '[2]'::halfvec END
SELECT '[1.1]'::halfvec UNION ALL SELECT '[2]'::halfvec ORDER BY 1
SELECT format_type('halfvec'::regtype, 3), format_type('halfvec'::regtype, -1)
SELECT typname, typcategory, typtype FROM pg_type WHERE typname IN ('halfvec', '_halfvec') ORDER BY 1
SELECT a.v <-> b.v FROM (VALUES ('[1,0]'::halfvec)) AS a (v), (VALUES ('[0,1]'::halfvec)) AS b (v)
SELECT B'101'
SELECT B'101', X'1F', B''
SELECT B'102'
SELECT X'1G'
SELECT '102'::bit(3)
SELECT 'x1f'::bit(8)
SELECT 'b11'::bit(2)
SELECT '101'::bit
SELECT '101'::bit varying
SELECT '10111'::bit varying(3)
SELECT '101'::varbit
SELECT B'101'::bit(5)
SELECT B'10111'::bit(2)
SELECT '1'::bit(0)
SELECT B'101'::text || 'x'
SELECT B'101'::varchar
SELECT length(B'101'::text)
SELECT NULL::bit(3)
SELECT B'101' = B'101', B'101' <> B'100', B'01' < B'1', B'1' < B'10', B'10' > B'1', B'01' >= B'1', B'1' <= B'1'
SELECT B'101' = '101'
SELECT B'101' = NULL
SELECT v FROM (VALUES (B'1'), (B'01'), (B'10'), (B'1001'), (NULL)) AS t (v) ORDER BY v
SELECT DISTINCT v FROM (VALUES (B'1'), (B'01'), (B'1')) AS t (v) ORDER BY v
SELECT v, count(*) FROM (VALUES (B'1'), (B'01'), (B'1')) AS t (v) GROUP BY v ORDER BY v
SELECT hamming_distance(B'101', B'110'), jaccard_distance(B'1010', B'1011'), jaccard_distance(B'000', B'000')
SELECT hamming_distance(B'101', B'11')
SELECT jaccard_distance(B'101', B'11')
SELECT '101'::bit(3) <%> '11'::bit(2)
SELECT B'101' <~> '110'
SELECT B'101' <~> NULL
SELECT binary_quantize('[1,-2,3,0]'::vector) = B'1010'
SELECT binary_quantize('[1,-2,3]'::vector)::bit(3) <~> '111'
SELECT pg_typeof(B'101'), pg_typeof(binary_quantize('[1]'::vector)), pg_typeof('1'::bit varying), pg_typeof('1'::bit(1))
SELECT bit '101', pg_typeof(bit '101')
SELECT format_type(1560, 3), format_type(1562, 3), format_type(1560, -1), format_type(1562, -1)
SELECT v FROM (VALUES ('[1,0]'::vector), ('[0,1]'::vector), ('[1,1]'::vector)) AS t (v) ORDER BY binary_quantize(v) <~> binary_quantize('[1,-1]'::vector), v LIMIT 2
SELECT B'11' UNION ALL SELECT B'101' ORDER BY 1
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e IN ('[1,2,3]', '[7,8,9]')
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e NOT IN ('[1,2,3]', '[7,8,9]')
SELECT i, e IN ('[1,2,3]', NULL) FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e IN ('[1,2,3]', '[1,2]', '[0]', '[4,5,6]', '[2]')
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e IN ('[1,2,3]', 'x')
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e BETWEEN '[1,1,1]' AND '[2,2,2]'
SELECT i FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE e NOT BETWEEN '[1,1,1]' AND '[2,2,2]'
SELECT CASE WHEN i = 1 THEN e ELSE '[0,0,0]' END FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT CASE WHEN i = 1 THEN '[0,0]' WHEN i = 2 THEN NULL ELSE e END FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT CASE WHEN i = 1 THEN e END FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT pg_typeof(CASE WHEN i = 1 THEN e END) FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) WHERE i = 1
SELECT CASE e WHEN '[1,2,3]' THEN 'a' ELSE 'b' END FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT (CASE WHEN i = 1 THEN e ELSE '[0,0,0]' END) <-> '[1,2,3]' FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT coalesce(e, '[0,0,0]') FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT coalesce(NULL, e, '[0,0,0]') FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT nullif(e, '[1,2,3]') FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY i
SELECT coalesce(e, '[0,0]') FROM (VALUES ('[1,2]'::halfvec(2)), (NULL)) AS t (e)
SELECT coalesce(e, f) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT pg_typeof(coalesce(e, f)), pg_typeof(nullif(e, f)), pg_typeof(greatest(e, f)), pg_typeof(least(e, f)) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) WHERE i = 1
SELECT greatest(e, f, '[2,9,9]'), least('[2,9,9]', e, f) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT greatest(e, f) + '[1,1,1]', '[1,1,1]' * least(f, e) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT nullif(f * '[1,1,1]', '[4,0,6]') FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT coalesce(e + '[1,1,1]', '[0,0,0]') FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT coalesce(coalesce(e, f), '[0,0,0]') <-> '[1,1,1]' FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT coalesce(e::halfvec + '[1,1,1]', '[1,1,1]') FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT (CASE WHEN i = 1 THEN e ELSE f END) + '[1,1,1]' FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f) ORDER BY i
SELECT '[1,1,1]' - q FROM (SELECT CASE WHEN i = 1 THEN e ELSE f END FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f)) AS x (q) ORDER BY 1
SELECT q FROM (SELECT coalesce(e, f) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f)) AS x (q) WHERE q = '[1,2,3]'
SELECT concat('[1,2]'::vector, 1), concat(e, '|', true, B'101', NULL), concat_ws('-', e, e::halfvec) FROM (VALUES ('[1,2.5]'::vector)) AS t (e)
SELECT format('%s and %s', e, B'10'), quote_literal(e) FROM (VALUES ('[1,2.5]'::vector)) AS t (e)
SELECT max(coalesce(e, f)) FROM (VALUES (1, '[1,2,3]'::vector(3), '[3,2,1]'::vector), (2, NULL, '[4,-0,6]')) AS t (i, e, f)
SELECT e FROM (VALUES ('[1,2]'::halfvec(2)), ('[3,4]')) AS t (e) WHERE e IN ('[1,2]', '[5,6]')
SELECT min(e) FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e)
SELECT max(e) FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e)
SELECT e FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) UNION ALL SELECT '[0,5,6]' ORDER BY 1
SELECT '[7,8]' UNION SELECT e FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) ORDER BY 1
SELECT i, e FROM (VALUES (1, '[1,2,3]'::vector(3)), (2, '[4,5,6]'), (3, NULL)) AS t (i, e) UNION ALL SELECT 9, '[1]' UNION ALL SELECT 10, NULL ORDER BY 1
SELECT pg_typeof(e) FROM (SELECT '[7,8]' AS e UNION SELECT '[1]'::halfvec) AS u LIMIT 1
PREPARE near (vector) AS SELECT l2_distance('[1,2,4]', $1)
EXECUTE near ('[1,2,3]')
EXECUTE near ('[1,2,3]'::vector)
EXECUTE near ('[1,x]')
EXECUTE near (NULL)
DEALLOCATE near
SELECT 1 <-> 2
SELECT vector_dims('[1]'::vector, 1)
CREATE EXTENSION IF NOT EXISTS vector
CREATE EXTENSION vector
CREATE EXTENSION nosuch
SELECT extname FROM pg_extension WHERE extname = 'vector'
