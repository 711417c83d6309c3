// pgjdbc: metadata, prepared statements (named from the fifth execution on, then binary), batches of
// rows by cursor, transactions, errors.
import java.sql.*;
import java.util.*;

public class PgJdbc {
    static void check(boolean holds, Object... said) {
        if (!holds) throw new AssertionError(Arrays.toString(said));
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) values.add(rows.getString(name));
        return values;
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + arguments[0] + ":" + arguments[1]
            + "/vigil?user=tester&sslmode=disable&connectTimeout=20&socketTimeout=60";
        try (Connection connection = DriverManager.getConnection(url)) {
            DatabaseMetaData metadata = connection.getMetaData();
            check(metadata.getDatabaseMajorVersion() == 16, metadata.getDatabaseMajorVersion());
            check(column(metadata.getSchemas(), "TABLE_SCHEM").contains("vigil_catalog"));
            check(column(metadata.getCatalogs(), "TABLE_CAT").contains("vigil"));
            check(column(metadata.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
            List<String> tables = column(metadata.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME");
            check(tables.equals(List.of("captions", "detections", "embeddings", "frames", "tracks")), tables);
            ResultSet remarks = metadata.getTables(null, "public", "detections", null);
            check(remarks.next() && remarks.getString("REMARKS").startsWith("Objects in frames"));
            ResultSet columns = metadata.getColumns(null, "public", "detections", "%");
            Map<String, String> types = new LinkedHashMap<>();
            Map<String, Integer> nullable = new HashMap<>();
            while (columns.next()) {
                types.put(columns.getString("COLUMN_NAME"), columns.getString("TYPE_NAME"));
                nullable.put(columns.getString("COLUMN_NAME"), columns.getInt("NULLABLE"));
            }
            check("int8".equals(types.get("track_id")) && "timestamptz".equals(types.get("ts")), types);
            check("float4".equals(types.get("confidence")) && types.keySet().iterator().next().equals("source"), types);
            check(nullable.get("track_id") == 1 && nullable.get("source") == 0, nullable);
            List<String> key = column(metadata.getPrimaryKeys(null, "public", "frames"), "COLUMN_NAME");
            check(new TreeSet<>(key).equals(new TreeSet<>(List.of("source", "frame_number"))), key);
            List<String> imported = column(metadata.getImportedKeys(null, "public", "detections"), "PKTABLE_NAME");
            check(imported.contains("frames") && imported.contains("tracks"), imported);
            List<String> indexes = column(metadata.getIndexInfo(null, "public", "captions", false, true), "INDEX_NAME");
            check(indexes.contains("captions_embedding_idx"), indexes);
            check(column(metadata.getTypeInfo(), "TYPE_NAME").contains("timestamptz"));
            metadata.getFunctions(null, null, "iou").close();

            try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT ts AS moment, 1 AS one FROM frames")) {
                ResultSetMetaData told = rows.getMetaData();
                check(told.getTableName(1).equals("frames"), told.getTableName(1));
                check(((org.postgresql.PGResultSetMetaData) told).getBaseSchemaName(1).equals("public"));
                check(((org.postgresql.PGResultSetMetaData) told).getBaseColumnName(1).equals("ts"));
                check(told.isNullable(1) == ResultSetMetaData.columnNoNulls && told.getTableName(2).isEmpty());
            }
            String sql = "SELECT frame_number, ts, keyframe, avg_confidence FROM frames WHERE source = ? AND frame_number < ? ORDER BY 1";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                for (int round = 1; round <= 8; round++) {
                    statement.setString(1, "lobby");
                    statement.setLong(2, round);
                    ResultSet rows = statement.executeQuery();
                    int count = 0;
                    while (rows.next()) {
                        check(rows.getLong(1) == count, rows.getLong(1));
                        check(rows.getTimestamp(2).getTime() == 1704067200000L + 40 * count, rows.getTimestamp(2));
                        check(rows.getBoolean(3) == (count == 0) && rows.getDouble(4) == count / 2.0);
                        count++;
                    }
                    check(count == round, count);
                }
            }
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(3);
                ResultSet rows = statement.executeQuery("SELECT frame_number FROM frames ORDER BY 1");
                int count = 0;
                while (rows.next()) check(rows.getInt(1) == count++);
                check(count >= 10, count);
                Savepoint point = connection.setSavepoint("here");
                try {
                    statement.executeQuery("SELECT 9223372036854775807 + frame_number FROM frames");
                    check(false, "no error");
                } catch (SQLException error) {
                    check("22003".equals(error.getSQLState()), error.getSQLState(), error.getMessage());
                }
                connection.rollback(point);
                Array array = connection.createArrayOf("text", new String[] {"a", "b c"});
                try (PreparedStatement with = connection.prepareStatement("SELECT ?::text[]")) {
                    with.setArray(1, array);
                    ResultSet row = with.executeQuery();
                    row.next();
                    check(Arrays.equals((Object[]) row.getArray(1).getArray(), new String[] {"a", "b c"}));
                }
            }
            connection.commit();
        }
        System.out.println("ok");
    }
}
