{% set workers = '2' %}
settings:
  cmd.run:
    - name: echo {{ workers + 1 }}
