SELECT ts, caption <=> $1::vector FROM captions c JOIN frames USING (source) WHERE a[1] = ANY(ARRAY[1,2]) AND EXISTS (SELECT 1) UNION SELECT E'\n', U&'x' -- end
/* a /* b */ */ ORDER BY 1 LIMIT 5