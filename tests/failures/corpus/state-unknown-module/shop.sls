web:
  supervisord.running:
    - restart: True

after:
  cmd.run:
    - name: echo after
    - require:
      - supervisord: web
