{%- from "app/map.jinja" import app, at, service with context %}

start-script:
  file.managed:
    - name: {{ at.start | json }}
    - source: salt://app/files/start.sh.jinja
    - template: jinja
    - context: {{ {'at': at, 'run': app.run} | json }}
    - user: {{ at.user | json }}
    - mode: '0700'
    - require:
      - brinepool_app: build

service-definition:
  file.managed:
    - name: {{ service.definition | json }}
    - source: {{ service.source }}
    - template: jinja
    - context: {{ {'at': at} | json }}
    - makedirs: True
    - mode: '0644'
    - require:
      - file: start-script

# Restarted only when something about the app changed: `build` reports a change of code, env, build or run lines.
service:
  service.running:
    - name: {{ at.service | json }}
    - enable: True
    - watch:
      - brinepool_app: build
      - file: start-script
      - file: service-definition
