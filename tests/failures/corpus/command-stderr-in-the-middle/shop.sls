restore:
  cmd.script:
    - source: salt://files/restore.sh
