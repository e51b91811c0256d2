configure:
  salt.state:
    - tgt: 'cart-test-*-1'
    - sls: shop
    - timeout: 3
