{%- if '-web-' in grains['id'] %}
page:
  cmd.run:
    - name: "echo 'ERROR: template page.tpl is missing' >&2; exit 1"
{%- else %}
page:
  cmd.run:
    - name: echo page
{%- endif %}
