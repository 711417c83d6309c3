"""pgcli: what it asks to complete names with, and a session of it in a terminal."""
import os
import pty
import select
import subprocess
import sys
import time

from pgcli.pgexecute import PGExecute

host, port = sys.argv[1:]
executor = PGExecute("vigil", "tester", "", host, port, "")
assert "public" in executor.schemata(), executor.schemata()
assert ("public", "detections") in list(executor.tables())
columns = [column for column in executor.table_columns() if column[:2] == ("public", "detections")]
assert ("track_id", "bigint") in [column[2:4] for column in columns], columns
list(executor.views()), list(executor.view_columns()), list(executor.datatypes()), list(executor.functions())
keys = [(key.childtable, key.parenttable) for key in executor.foreignkeys()]
assert ("detections", "frames") in keys, keys
assert "vigil" in executor.databases() and executor.search_path(), executor.search_path()

home = os.environ["HOME"]
main, side = pty.openpty()
environment = dict(os.environ, TERM="dumb", PAGER="cat", PGCONNECT_TIMEOUT="20")
command = [sys.executable, "-m", "pgcli.main", "--host", host, "--port", port, "--user", "tester", "--dbname", "vigil", "--no-password"]
process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment, close_fds=True)
os.close(side)
shown = b""
os.write(main, b"SELECT 'fra' || 'mes' AS made, count(*) FROM frames WHERE frame_number < 4;\r\\d tracks\r\\q\r")
end = time.monotonic() + 60
while time.monotonic() < end and process.poll() is None:
    if select.select([main], [], [], 0.2)[0]:
        try:
            shown += os.read(main, 65536)
        except OSError:
            break
    if b"Goodbye" in shown:
        break
try:
    process.wait(20)
except subprocess.TimeoutExpired:
    # It has said goodbye; what still refreshes its completions need not.
    process.kill()
text = shown.decode(errors="replace")
assert "frames" in text and "| 4" in text, text
assert "track_id" in text and "Goodbye" in text, text
print("ok")
