migrate:
  cmd.run:
    - name: psql -h 127.23.0.9 -U shop -c 'CREATE DATABASE shop'
