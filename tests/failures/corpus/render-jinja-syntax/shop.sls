{% for name in ['images', 'logs'] %}
{{ name }}:
  file.directory:
    - name: /srv/{{ name }}
{% endfro %}
