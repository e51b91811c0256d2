{%- from "app/map.jinja" import app, at with context %}

health:
  brinepool_app.healthy:
    - name: {{ ('http://' ~ app.address ~ ':' ~ app.port ~ app.health) | json }}
    - log: {{ at.log | json }}
    - service: {{ at.service | json }}
    - release: {{ at.release | json }}
    - deadline: {{ app.health_deadline }}
    - require:
      - service: service
