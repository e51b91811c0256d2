{% for server in servers.web %}
configure-{{ server }}:
  salt.state:
    - tgt: {{ server }}
    - sls: shop
{% endfor %}
