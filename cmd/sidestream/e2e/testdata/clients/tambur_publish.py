# Publishes as the Python client does, with requests_oauthlib and the parameters in the
# body.
#   python3 tambur_publish.py URL KEY SECRET MESSAGE
import json
import sys

import requests
from requests_oauthlib import OAuth1

url, key, secret, message = sys.argv[1:]
auth = OAuth1(key, client_secret=secret, signature_type="body")
answer = requests.post(url, data={"api_version": "1.0", "message": message}, auth=auth)
answer.raise_for_status()
print(json.dumps({"status": answer.status_code, "body": answer.text}))
