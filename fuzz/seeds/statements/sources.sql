CREATE SOURCE IF NOT EXISTS "My Lobby" FROM 'it''s.mp4' WITH (fps = 10, x = -1.5, y = true);
WAIT FOR SOURCE a TIMEOUT INTERVAL '1 minute';