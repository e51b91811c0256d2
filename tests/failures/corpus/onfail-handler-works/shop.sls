backup:
  cmd.run:
    - name: "echo 'pg_dump: error: connection to server failed: Connection refused' >&2; exit 1"

ping:
  cmd.run:
    - name: echo pong

tell-ops:
  cmd.run:
    - name: echo told
    - onfail:
      - cmd: backup

restart-ping:
  cmd.run:
    - name: echo restarted
    - onfail:
      - cmd: ping
