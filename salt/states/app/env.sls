{%- from "app/map.jinja" import app, at with context %}

# The values come from the pillar inside the state: an SLS never sees them.
env:
  brinepool_app.env_file:
    - name: {{ at.env | json }}
    - user: {{ at.user | json }}
    - require:
      - git: checkout
