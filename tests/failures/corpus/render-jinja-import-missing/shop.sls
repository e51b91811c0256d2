{% from "shop/map.jinja" import settings %}
settings:
  file.managed:
    - name: {{ settings.file }}
