install:
  cmd.script:
    - source: salt://files/install.sh
