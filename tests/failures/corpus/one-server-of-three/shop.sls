join:
  cmd.run:
{%- if grains['id'] == 'cart-test-api-1' %}
    - name: "echo 'cluster: unknown region eu-north-7' >&2; exit 3"
{%- else %}
    - name: "echo 'cluster: node limit of 3 reached' >&2; exit 4"
{%- endif %}
