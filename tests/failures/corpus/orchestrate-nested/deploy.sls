configure:
  salt.state:
    - tgt: cart-test-api-1
    - sls: shop
