configure:
  salt.state:
    - tgt: cart-test-api-1
    - sls: shop

announce:
  salt.function:
    - name: test.ping
    - tgt: cart-test-web-1
    - require:
      - salt: configure
