fetch-prices:
  cmd.run:
    - name: "echo 'prices.csv: Permission denied' >&2; exit 13"

load-prices:
  cmd.run:
    - name: echo loaded
    - onchanges:
      - cmd: fetch-prices

publish-prices:
  cmd.run:
    - name: "echo 'no prices to publish' >&2; exit 4"
    - require:
      - cmd: load-prices
