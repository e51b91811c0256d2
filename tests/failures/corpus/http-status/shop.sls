search:
  http.query:
    - name: http://{{ pillar['brinepool']['address'] }}:8090/search
    - status: 200
