search:
  http.query:
    - name: http://127.23.0.9:9200/search
    - status: 200
