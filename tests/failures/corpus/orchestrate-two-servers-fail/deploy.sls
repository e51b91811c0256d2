configure:
  salt.state:
    - tgt: 'cart-test-*'
    - sls: shop
