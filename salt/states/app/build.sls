{%- from "app/map.jinja" import app, at with context %}

build:
  brinepool_app.built:
    - name: {{ at.checkout | json }}
    - env: {{ at.env | json }}
    - release: {{ at.release | json }}
    - build: {{ app.build | json }}
    - run: {{ app.run | json }}
    - user: {{ at.user | json }}
    - require:
      - git: checkout
      - brinepool_app: env
